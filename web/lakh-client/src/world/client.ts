/** World: namespace `/world`. One socket is in one world at a time, and gets a frame of it each tick. */
import type { Manager } from "socket.io-client";
import { readAnswer } from "../answer.js";
import { LakhError } from "../errors.js";
import { NamespaceClient, type NamespaceOptions, type RequestOptions } from "../namespace.js";
import type { WorldRequests, WorldServerEvents } from "./shapes.js";
import { Space, type SpaceWire } from "./space.js";
import type { SpaceRequests } from "./spaces.js";
import { World, type EnterOptions, type WorldWire } from "./world.js";

type Answer<K extends keyof WorldRequests> = Promise<WorldRequests[K]["answer"]>;

export class WorldClient extends NamespaceClient<WorldRequests, WorldServerEvents> {
  /** Spaces: members, locations, cursors, locks. */
  readonly space = {
    enter: this.#asks("space:enter"),
    leave: this.#asks("space:leave"),
    get: this.#asks("space:get"),
    profile: this.#asks("space:profile"),
    location: this.#asks("space:location"),
    cursor: this.#asks("space:cursor"),
    lock: this.#asks("space:lock"),
    unlock: this.#asks("space:unlock"),
    locks: this.#asks("space:locks"),
  } as const;
  readonly #timeoutMs: number;
  readonly #spaces = new Map<string, Space>();
  /** The first times: whoever asks meanwhile gets the same object. */
  readonly #entering = new Map<string, Promise<Space>>();
  /** Left while there was no connection: a server that recovers it takes one for a member still. */
  readonly #unsaid = new Set<string>();
  #world: World | null = null;

  constructor(manager: Manager, options: NamespaceOptions) {
    super(manager, "/world", options);
    this.#timeoutMs = options.timeoutMs;
    this.on("world:frame", (frame) => this.#world?.frame(bytesOf(frame)));
    this.on("world:closed", (closed) => {
      if (closed.world === this.#world?.name) this.#world.closed(closed);
    });
    this.#hearSpaces();
    this.onState(({ status }) => {
      // Also a session that was recovered has missed frames, which nobody keeps.
      const all = [this.#world, ...this.#spaces.values()];
      for (const one of all) {
        if (status === "connected") one?.comeBack();
        else one?.away();
      }
      if (status !== "connected") return;
      for (const space of this.#unsaid) this.#leave(space);
      this.#unsaid.clear();
    });
  }

  /** The world that one is in. */
  get current(): World | null {
    return this.#world;
  }

  /** Enters a world, and leaves the one before. One that is not there is made, where the server allows it. */
  async enter(
    world: string,
    { inputRate, ...options }: EnterOptions = {},
    { timeoutMs }: RequestOptions = {},
  ): Promise<World> {
    const fields = { world, ...options };
    let entered: World | undefined;
    await this.#first(
      "world:enter",
      fields,
      (answer) => {
        this.#world?.end();
        entered = this.#world = new World(this.#wire(), fields, answer, inputRate);
      },
      timeoutMs,
    );
    // The promise is kept only after that.
    if (!entered) throw new LakhError("internal", "The world was not entered.");
    return entered;
  }

  /**
   * Enters a space, of which one may be in several, and enters it again after a lost connection. Whoever is in it already
   * gets the same object.
   */
  async enterSpace(
    space: string,
    { profile }: { profile?: unknown } = {},
    { timeoutMs }: RequestOptions = {},
  ): Promise<Space> {
    const entered = this.#spaces.get(space) ?? this.#entering.get(space);
    if (entered) {
      const known = await entered;
      if (profile !== undefined) await known.setProfile(profile);
      return known;
    }
    const fields = { space, ...(profile === undefined ? {} : { profile }) };
    const entering = this.#firstInto(fields, timeoutMs);
    this.#entering.set(space, entering);
    try {
      return await entering;
    } finally {
      this.#entering.delete(space);
    }
  }

  async #firstInto(
    fields: SpaceRequests["space:enter"]["fields"],
    timeoutMs: number | undefined,
  ): Promise<Space> {
    const { space } = fields;
    const early: Parameters<WorldServerEvents["space:lock"]>[0][] = [];
    let entered: Space | undefined;
    // What is told of locks before the answer may have happened after it was put together.
    const stop = this.on("space:lock", (news) => {
      if (news.space === space && !entered) early.push(news);
    });
    try {
      await this.#first(
        "space:enter",
        fields,
        (answer) => {
          entered = new Space(this.#spaceWire(), fields, answer);
          this.#spaces.set(space, entered);
          for (const news of early) entered.hearLock(news);
        },
        timeoutMs,
      );
    } finally {
      stop();
    }
    // The promise is kept only after that.
    if (!entered) throw new LakhError("internal", "The space was not entered.");
    return entered;
  }

  list(fields: WorldRequests["world:list"]["fields"] = {}): Answer<"world:list"> {
    return this.request("world:list", fields);
  }

  create(
    world: string,
    wishes: Omit<WorldRequests["world:create"]["fields"], "world"> = {},
  ): Answer<"world:create"> {
    return this.request("world:create", { world, ...wishes });
  }

  info(world: string): Answer<"world:info"> {
    return this.request("world:info", { world });
  }

  async delete(world: string): Promise<void> {
    await this.request("world:delete", { world });
  }

  #asks<K extends keyof WorldRequests>(event: K) {
    return (fields: WorldRequests[K]["fields"], options?: RequestOptions): Answer<K> =>
      this.request(event, fields, options);
  }

  #wire(): WorldWire {
    return {
      request: (event, fields) => this.request(event, fields),
      input: (fields) => {
        if (this.socket.connected) this.socket.emit("world:input", fields);
      },
      seen: (tick) => {
        if (this.socket.connected) this.socket.emit("world:look", { seen: tick });
      },
      enter: (fields, entered) => this.#first("world:enter", fields, entered),
      left: (world) => {
        if (this.#world === world) this.#world = null;
      },
    };
  }

  #hearSpaces(): void {
    const of = (space: string) => this.#spaces.get(space);
    this.on("space:members", (news) => of(news.space)?.hearMembers(news));
    this.on("space:location", (news) => of(news.space)?.hearLocation(news));
    this.on("space:cursors", (news) => of(news.space)?.hearCursors(news));
    this.on("space:lock", (news) => of(news.space)?.hearLock(news));
    this.on("space:closed", ({ space, again }) => {
      const closed = of(space);
      if (!again) closed?.end(null);
      closed?.away();
      closed?.comeBack();
    });
  }

  #spaceWire(): SpaceWire {
    return {
      request: (event, fields) => this.request(event, fields),
      enter: (fields, entered) => this.#first("space:enter", fields, entered),
      cursor: (fields) => {
        if (this.socket.connected) this.socket.emit("space:cursor", fields);
      },
      left: (space) => {
        if (this.#spaces.get(space.name) === space) this.#spaces.delete(space.name);
        if (space.phase === "away") this.#unsaid.add(space.name);
      },
      leave: (space) => this.#leave(space),
    };
  }

  /** Unless it was entered anew meanwhile. */
  #leave(space: string): void {
    if (this.#spaces.has(space) || this.#entering.has(space)) return;
    this.socket.emit("space:leave", { space });
  }

  /**
   * Asks, and hands the answer on as it is read: what waits for a promise may come after the first frames, which make no
   * sense without it.
   */
  #first<K extends "world:enter" | "space:enter">(
    event: K,
    fields: WorldRequests[K]["fields"],
    entered: (answer: WorldRequests[K]["answer"]) => void,
    timeoutMs = this.#timeoutMs,
  ): Promise<void> {
    if (!this.socket.active) {
      return Promise.reject(new LakhError("disconnected", `Not connected: ${event} was not sent.`));
    }
    return new Promise((done, fail) => {
      const heard = (lost: Error | null, answer?: unknown) => {
        if (lost) {
          const code = this.socket.connected ? "timeout" : "disconnected";
          fail(new LakhError(code, `No answer to ${event} in time.`, { cause: lost }));
          return;
        }
        try {
          entered(readAnswer(event, answer) as WorldRequests[K]["answer"]);
          done();
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.socket.timeout(timeoutMs).emit(event, fields, heard);
    });
  }
}

function bytesOf(frame: ArrayBuffer | Uint8Array): Uint8Array {
  return frame instanceof Uint8Array ? frame : new Uint8Array(frame);
}
