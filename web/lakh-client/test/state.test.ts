import { afterEach, describe, expect, test } from "vitest";
import { mergePatch } from "../src/merge.js";
import { Cursors } from "../src/cursors.js";
import { Lock } from "../src/locks.js";
import { RoomState, type StateChange, type Wire } from "../src/state.js";

/** The namespace, as far as a room's state needs it: what is asked is kept, and answered by the test. */
class TestWire implements Wire {
  readonly asked: { event: string; fields: object; options: object | undefined }[] = [];
  answers: Record<string, object | (() => object | Promise<object>)> = {};
  readonly #listeners = new Map<string, Set<(data: never) => void>>();
  readonly #connected = new Set<(recovered: boolean) => void>();

  request(event: string, fields: object, options?: object): Promise<object> {
    this.asked.push({ event, fields, options });
    const answer = this.answers[event] ?? {};
    return Promise.resolve(
      typeof answer === "function" ? (answer as () => object | Promise<object>)() : answer,
    );
  }

  listen(event: string, handler: (data: never) => void): () => void {
    const all = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, all.add(handler));
    return () => all.delete(handler);
  }

  onConnected(handler: (recovered: boolean) => void): () => void {
    this.#connected.add(handler);
    return () => this.#connected.delete(handler);
  }

  tell(event: string, data: object): void {
    for (const handler of this.#listeners.get(event) ?? []) handler(data as never);
  }

  connect(recovered: boolean): void {
    for (const handler of this.#connected) handler(recovered);
  }

  listeners(): number {
    return [...this.#listeners.values()].reduce((sum, all) => sum + all.size, this.#connected.size);
  }
}

interface Board {
  title: string;
  doc: { text: string; n?: number };
}

const snapshot = (version: number, values: Record<string, unknown> = {}) => ({
  room: "r",
  version,
  entries: Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, { value, version }]),
  ),
});

const changed = (...changes: StateChange[]) => ({
  room: "r",
  version: changes.at(-1)?.version ?? 0,
  changes,
});

async function board(wire: TestWire, options = {}): Promise<RoomState<Board>> {
  wire.answers["state:join"] = () => {
    wire.tell("state:snapshot", snapshot(10, { title: "old" }));
    return { version: 10 };
  };
  return new RoomState<Board>(wire, "r", options).open();
}

const settled = () => new Promise((done) => setTimeout(done, 0));

describe("state", () => {
  test("is the snapshot, and each change behind it", async () => {
    const wire = new TestWire();
    const state = await board(wire);
    expect([state.version, state.get("title"), state.size]).toEqual([10, "old", 1]);
    const heard: unknown[] = [];
    state.onChange((change) => heard.push(change));
    const by = { id: "s1" };
    wire.tell("state:changed", changed({ key: "title", value: "new", version: 11, by }));
    wire.tell("state:changed", changed({ key: "title", deleted: true, version: 12, why: "left" }));
    wire.tell("state:changed", {
      ...changed({ key: "title", value: 1, version: 13 }),
      room: "other",
    });
    expect(heard).toEqual([
      { key: "title", value: "new", old: "old", version: 11, by },
      { key: "title", old: "new", version: 12, why: "left" },
    ]);
    expect([state.version, state.size]).toEqual([12, 0]);
  });

  test("passes over what it has, and asks for what it lacks", async () => {
    const wire = new TestWire();
    const state = await board(wire);
    wire.tell("state:changed", changed({ key: "title", value: "older", version: 10 }));
    expect(state.get("title")).toBe("old");
    wire.answers["state:since"] = () => ({
      version: 12,
      changes: [
        { key: "title", value: "eleven", version: 11 },
        { key: "title", value: "twelve", version: 12 },
      ],
    });
    const heard: number[] = [];
    state.onChange(({ version }) => heard.push(version));
    wire.tell("state:changed", changed({ key: "title", value: "twelve", version: 12 }));
    wire.tell("state:changed", changed({ key: "title", value: "thirteen", version: 13 }));
    await settled();
    expect(heard).toEqual([11, 12, 13]);
    expect(state.get("title")).toBe("thirteen");
    expect(wire.asked.at(-1)).toMatchObject({
      event: "state:since",
      fields: { room: "r", version: 10 },
    });
  });

  test("of what is too long ago it takes a snapshot", async () => {
    const wire = new TestWire();
    const state = await board(wire);
    wire.answers["state:since"] = snapshot(40, { title: "forty" });
    let resets = 0;
    state.onReset(() => (resets += 1));
    wire.tell("state:changed", changed({ key: "title", value: "forty", version: 40 }));
    await settled();
    expect([state.version, state.get("title"), resets]).toEqual([40, "forty", 1]);
  });

  test("with conflate a gap is none", async () => {
    const wire = new TestWire();
    const state = await board(wire, { conflate: true });
    expect(wire.asked[0]?.fields).toEqual({ room: "r", conflate: true });
    wire.tell("state:changed", changed({ key: "title", value: "much later", version: 50 }));
    expect([state.version, state.get("title")]).toEqual([50, "much later"]);
    expect(wire.asked).toHaveLength(1);
  });

  test("with delta patches are applied, and old values stay as they are", async () => {
    const wire = new TestWire();
    const state = await board(wire, { delta: true });
    wire.tell("state:changed", changed({ key: "doc", value: { text: "x", n: 1 }, version: 11 }));
    const before = state.get("doc");
    wire.tell("state:changed", changed({ key: "doc", patch: { n: null, text: "y" }, version: 12 }));
    expect(state.get("doc")).toEqual({ text: "y" });
    expect(before).toEqual({ text: "x", n: 1 });
  });

  test("writes say what they mean", async () => {
    const wire = new TestWire();
    const state = await board(wire);
    wire.answers["state:set"] = { version: 11 };
    wire.answers["state:delete"] = { version: 12, existed: true };
    wire.answers["state:update"] = { version: 14, versions: {} };
    expect(await state.set("title", "t", { ifVersion: 0, ttlMs: 5, bind: "socket" })).toBe(11);
    expect(await state.delete("title")).toBe(12);
    expect(await state.update([{ key: "title", value: 1, if_version: 3 }])).toBe(14);
    expect(wire.asked.slice(1).map(({ fields }) => fields)).toEqual([
      { room: "r", key: "title", value: "t", if_version: 0, ttl_ms: 5, bind: "socket" },
      { room: "r", key: "title" },
      { room: "r", changes: [{ key: "title", value: 1, if_version: 3 }] },
    ]);
    wire.answers["state:patch"] = {};
    await expect(state.patch("doc", { n: 2 })).rejects.toMatchObject({ code: "bad_answer" });
  });

  test("joins again where the server has forgotten it, and leaves nothing behind", async () => {
    const wire = new TestWire();
    const state = await board(wire);
    const joins = () => wire.asked.filter(({ event }) => event === "state:join").length;
    wire.connect(true);
    expect(joins()).toBe(1);
    wire.connect(false);
    expect(joins()).toBe(2);
    await state.close();
    expect([wire.listeners(), wire.asked.at(-1)?.event]).toEqual([0, "state:leave"]);
  });
});

test("patches have no way out of the value", () => {
  const patch = JSON.parse('{"__proto__": {"polluted": true}, "a": {"b": null}}') as unknown;
  const value = mergePatch({ a: { b: 1, c: 2 } }, patch);
  expect(value).toMatchObject({ a: { c: 2 } });
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  expect(mergePatch([1], { a: { b: null } })).toEqual({ a: {} });
  expect(mergePatch({ a: 1 }, [1])).toEqual([1]);
});

test("a lock is renewed and released under its token", async () => {
  const wire = new TestWire();
  wire.answers["lock:acquire"] = { token: 7, expires_at: 1_000 };
  wire.answers["lock:renew"] = { token: 7, expires_at: 2_000 };
  const lock = await Lock.acquire(wire, "r", "l", { ttlMs: 500, waitMs: 60_000 });
  // Its own patience is longer than the time in the queue.
  expect(wire.asked[0]).toMatchObject({ options: { timeoutMs: 70_000 } });
  await lock.renew(900);
  await lock.release();
  expect([lock.token, lock.expiresAt]).toEqual([7, 2_000]);
  expect(wire.asked.slice(1).map(({ event, fields }) => [event, fields])).toEqual([
    ["lock:renew", { room: "r", name: "l", token: 7, ttl_ms: 900 }],
    ["lock:release", { room: "r", name: "l", token: 7 }],
  ]);
});

describe("cursors", () => {
  let open: Cursors | undefined;
  afterEach(() => open?.close());

  test("are the others' places, with who they are", async () => {
    const wire = new TestWire();
    const user = { id: "ben", name: "Ben" };
    wire.answers["cursor:join"] = {
      cursors: [
        { id: "me", x: 0, y: 0 },
        { id: "ben", x: 1, y: 2, user },
      ],
    };
    const sent: object[] = [];
    const send = (_: string, fields: object) => void sent.push(fields);
    open = await new Cursors(wire, "r", () => "me", send).open();
    const seen: string[][] = [];
    open.onMove((places) => seen.push([...places.keys()]));
    wire.tell("cursor:moved", {
      room: "r",
      moved: [
        ["me", 5, 5],
        ["ben", 3, 4],
        ["cid", 1, 1, "pen"],
      ],
    });
    expect(open.places.get("ben")).toMatchObject({ x: 3, y: 4, user });
    expect(open.places.get("cid")).toMatchObject({ x: 1, y: 1, data: "pen" });
    wire.tell("cursor:left", { room: "r", ids: ["ben"] });
    expect(seen).toEqual([["ben", "cid"], ["cid"]]);
    open.move(1, 2, { tool: "pen" });
    expect(sent).toEqual([{ room: "r", x: 1, y: 2, data: { tool: "pen" } }]);
  });
});
