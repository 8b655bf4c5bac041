import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  Lakh,
  LakhError,
  type ChatMessage,
  type ConnectionState,
  type NamespaceClient,
} from "../src/index.js";
import { readAnswer } from "../src/answer.js";
import { TestServer } from "./server.js";

let server: TestServer;
const open: Lakh<never>[] = [];

beforeEach(async () => {
  server = await TestServer.start();
});

afterEach(async () => {
  for (const lakh of open.splice(0)) lakh.close();
  await server.stop();
});

function connect<Data extends object>(name: string, timeoutMs = 2000): Lakh<Data> {
  const manager = { reconnectionDelay: 10, reconnectionDelayMax: 20, forceNew: true };
  const lakh = new Lakh<Data>(server.url, { auth: { name }, timeoutMs, manager });
  open.push(lakh);
  return lakh;
}

type AnyNamespace = Pick<NamespaceClient<object, object>, "state" | "onState">;

/** Resolves when the namespace is, or comes to be, in this state. */
function reach<S extends ConnectionState["status"]>(namespace: AnyNamespace, status: S) {
  type Reached = Extract<ConnectionState, { status: S }>;
  return new Promise<Reached>((done) => {
    const see = (state: ConnectionState): boolean => {
      if (state.status !== status) return false;
      done(state as Reached);
      return true;
    };
    if (see(namespace.state)) return;
    const stop = namespace.onState((state) => {
      if (see(state)) stop();
    });
  });
}

function next<T extends unknown[]>(subscribe: (handler: (...args: T) => void) => () => void) {
  return new Promise<T>((done) => {
    const stop = subscribe((...args) => {
      stop();
      done(args);
    });
  });
}

async function failure(promise: Promise<unknown>): Promise<LakhError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LakhError);
  return error as LakhError;
}

describe("requests", () => {
  test("a good answer resolves to its fields", async () => {
    const { chat } = connect("Ada");
    const joined = await chat.join("tea");
    expect(joined.room).toMatchObject({ id: "tea", seq: 0 });
    expect(joined.members).toEqual([{ id: "dev:ada", name: "Ada", online: true }]);
    expect(joined).not.toHaveProperty("ok");
  });

  test("a refusal rejects with the server's code and message", async () => {
    const { chat } = connect("Ada");
    const error = await failure(chat.send("tea", "hello"));
    expect(error).toMatchObject({ code: "not_member", message: "Join the room first." });
    expect(error.retryable).toBe(false);
  });

  test("a conflict says what is there instead", () => {
    const error = { code: "conflict", message: "Not as expected.", current: { version: 8 } };
    const read = () => readAnswer("world:set", { ok: false, error });
    expect(read).toThrow(
      expect.objectContaining({ code: "conflict", current: { version: 8 } }) as Error,
    );
  });

  test("an answer that never comes rejects with timeout", async () => {
    const { chat } = connect("Ada", 150);
    await chat.join("tea");
    server.faults.lostAnswers = 1;
    const error = await failure(chat.send("tea", "hello"));
    expect(error.code).toBe("timeout");
    expect(error.retryable).toBe(true);
  });

  test("an event that nobody answers in Lakh's shape rejects with bad_answer", async () => {
    server.io.of("/chat").on("connection", (socket) => {
      socket.removeAllListeners("presence:list");
      socket.on("presence:list", (_fields, ack: (answer: string) => void) => ack("pong"));
    });
    const { chat } = connect("Ada");
    expect((await failure(chat.presence("tea"))).code).toBe("bad_answer");
  });

  test("a lost connection rejects what was not answered", async () => {
    const { chat } = connect("Ada");
    await chat.join("tea");
    server.faults.lostAnswers = 1;
    const sent = chat.send("tea", "hello");
    const [message] = await next<[ChatMessage]>((handler) => chat.on("message:new", handler));
    expect(message.text).toBe("hello");
    server.cut();
    expect((await failure(sent)).code).toBe("disconnected");
  });

  test("a request on a closed connection fails at once", async () => {
    const lakh = connect("Ada", 60_000);
    await reach(lakh.chat, "connected");
    lakh.close();
    expect((await failure(lakh.chat.join("tea"))).code).toBe("disconnected");
  });
});

describe("chat", () => {
  test("a message reaches the others with its number", async () => {
    const ada = connect("Ada").chat;
    const ben = connect("Ben").chat;
    await ada.join("tea");
    await ben.join("tea");
    const heard = next<[{ seq: number; text: string }]>((handler) =>
      ben.on("message:new", handler),
    );
    const { message, duplicate } = await ada.send("tea", "hello");
    expect(duplicate).toBe(false);
    expect(await heard).toEqual([message]);
  });

  test("sending again with the same key gives the same message", async () => {
    const { chat } = connect("Ada", 150);
    await chat.join("tea");
    server.faults.lostAnswers = 1;
    await failure(chat.send("tea", "hello", { key: "k1" }));
    const again = await chat.send("tea", "hello", { key: "k1" });
    expect(again).toMatchObject({ duplicate: true, message: { seq: 1, key: "k1" } });
  });

  test("history pages both ways", async () => {
    for (let n = 1; n <= 9; n += 1) server.post("tea", `m${n}`);
    const { chat } = connect("Ada");
    await chat.join("tea");
    const last = await chat.history("tea", { limit: 3 });
    expect(last.messages.map((m) => m.seq)).toEqual([7, 8, 9]);
    expect(last.more).toBe(true);
    const older = await chat.history("tea", { before: 3, limit: 3 });
    expect(older).toMatchObject({ messages: [{ seq: 1 }, { seq: 2 }], more: false });
    const newer = await chat.history("tea", { after: 6, limit: 200 });
    expect(newer.messages.map((m) => m.seq)).toEqual([7, 8, 9]);
  });
});

describe("rooms", () => {
  interface Board {
    cursor: { x: number; bytes: Uint8Array };
  }

  test("events of one's own carry data, binary too, and their origin", async () => {
    const ada = connect<Board>("Ada").rooms;
    const ben = connect<Board>("Ben").rooms;
    await ada.join("board");
    expect((await ben.join("board")).count).toBe(2);
    const heard = next<Parameters<Parameters<typeof ben.on<"cursor">>[1]>>((handler) =>
      ben.on("cursor", handler),
    );
    const bytes = new Uint8Array([1, 2, 3]);
    const { seq } = await ada.emit("board", "cursor", { x: 7, bytes }, { echo: false });
    const [data, origin] = await heard;
    expect(data.x).toBe(7);
    expect(new Uint8Array(data.bytes)).toEqual(bytes);
    expect(origin).toMatchObject({ room: "board", from: ada.socket.id, seq });
    expect((await ada.members("board")).members).toHaveLength(2);
  });

  test("both modules share one connection", async () => {
    const lakh = connect("Ada");
    await Promise.all([reach(lakh.rooms, "connected"), reach(lakh.chat, "connected")]);
    expect(server.io.engine.clientsCount).toBe(1);
  });
});

describe("connection state", () => {
  test("a refused sign-in is told with its code, and not tried again", async () => {
    const { chat } = connect("");
    const { error } = await reach(chat, "refused");
    expect(error).toMatchObject({ code: "unauthorized", message: "Sign-in needed" });
    expect(chat.socket.active).toBe(false);
  });

  test("a lost connection is reconnecting, then connected", async () => {
    const { chat } = connect("Ada");
    await reach(chat, "connected");
    server.cut();
    expect((await reach(chat, "reconnecting")).reason).toBe("transport close");
    await reach(chat, "connected");
  });

  test("reconnectNow does not wait for the delay", async () => {
    const lakh = new Lakh(server.url, {
      auth: { name: "Ada" },
      manager: { reconnectionDelay: 3_600_000, reconnectionDelayMax: 3_600_000, forceNew: true },
    });
    open.push(lakh);
    await reach(lakh.chat, "connected");
    server.cut();
    await reach(lakh.chat, "reconnecting");
    lakh.reconnectNow();
    await reach(lakh.chat, "connected");
  });

  test("auth is asked again at each connection", async () => {
    const names = ["Ada", "Grace"];
    const lakh = new Lakh(server.url, {
      auth: () => ({ name: names.shift() ?? "late" }),
      manager: { reconnectionDelay: 10, forceNew: true },
    });
    open.push(lakh);
    await reach(lakh.chat, "connected");
    server.cut();
    await reach(lakh.chat, "reconnecting");
    const { members } = await lakh.chat.join("tea");
    expect(members[0]?.name).toBe("Grace");
  });
});

describe("a sign-in that ends", () => {
  function signedIn(refreshToken: () => string | Promise<string>, errors: unknown[] = []) {
    const manager = { reconnectionDelay: 10, reconnectionDelayMax: 20, forceNew: true };
    const onRefreshError = (error: unknown) => errors.push(error);
    const options = { auth: { token: "t0" }, refreshToken, onRefreshError, manager };
    const lakh = new Lakh<never>(server.url, options);
    open.push(lakh);
    return lakh;
  }

  const expiring = () =>
    server.io.of("/chat").emit("auth:expiring", { expires_at: 1, in_ms: 5000 });

  test("a new token is fetched and shown, once for all that is told at a time", async () => {
    let asked = 0;
    const { chat } = signedIn(() => `t${++asked}`);
    await reach(chat, "connected");
    const told = next((handler: (e: { in_ms: number }) => void) =>
      chat.onNotice("auth:expiring", handler),
    );
    expiring();
    expiring();
    expect((await told)[0].in_ms).toBe(5000);
    await expect.poll(() => server.refreshed).toEqual(["t1"]);
    expect(server.tokens).toEqual(["t0"]);
  });

  test("who comes back shows the newest token", async () => {
    const { chat } = signedIn(() => "t1");
    await reach(chat, "connected");
    expiring();
    await expect.poll(() => server.refreshed).toEqual(["t1"]);
    // The answer is on its way.
    await chat.join("tea");
    server.cut();
    await reach(chat, "reconnecting");
    await reach(chat, "connected");
    expect(server.tokens).toEqual(["t0", "t1"]);
  });

  test("a token that has ended meanwhile is not shown: a new one is fetched first", async () => {
    server.lifetimeMs = -1;
    let asked = 0;
    const { chat } = signedIn(() => `t${++asked}`);
    await reach(chat, "connected");
    expiring();
    await expect.poll(() => server.refreshed).toEqual(["t1"]);
    await chat.join("tea");
    server.cut();
    await reach(chat, "reconnecting");
    await reach(chat, "connected");
    expect(server.tokens).toEqual(["t0", "t2"]);
  });

  test("a refusal is told, and tried again", async () => {
    const errors: unknown[] = [];
    const tokens = ["bad", "t1"];
    const { chat } = signedIn(() => tokens.shift() ?? "none", errors);
    await reach(chat, "connected");
    expiring();
    await expect.poll(() => server.refreshed, { timeout: 5000 }).toEqual(["t1"]);
    expect(errors).toMatchObject([{ code: "unauthorized" }]);
  });

  test("while no token can be had for a connection, it's tried again", async () => {
    let asked = 0;
    const auth = () => (++asked < 3 ? Promise.reject(new Error("away")) : { token: "t9" });
    const manager = { reconnectionDelay: 10, reconnectionDelayMax: 20, forceNew: true };
    const lakh = new Lakh<never>(server.url, { auth, manager });
    open.push(lakh);
    await reach(lakh.chat, "connected");
    expect([asked, server.tokens]).toEqual([3, ["t9"]]);
  });
});
