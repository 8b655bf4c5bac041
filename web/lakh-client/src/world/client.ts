/** World: namespace `/world`. One socket is in one world at a time, and gets a frame of it each tick. */
import type { Manager } from "socket.io-client";
import { readAnswer } from "../answer.js";
import { LakhError } from "../errors.js";
import { NamespaceClient, type NamespaceOptions, type RequestOptions } from "../namespace.js";
import type { EnterAnswer, EnterFields, WorldRequests, WorldServerEvents } from "./shapes.js";
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
  #world: World | null = null;

  constructor(manager: Manager, options: NamespaceOptions) {
    super(manager, "/world", options);
    this.#timeoutMs = options.timeoutMs;
    this.on("world:frame", (frame) => this.#world?.frame(bytesOf(frame)));
    this.on("world:closed", (closed) => {
      if (closed.world === this.#world?.name) this.#world.closed(closed);
    });
    this.onState(({ status }) => {
      // Also a session that was recovered has missed frames, which nobody keeps.
      if (status === "connected") this.#world?.comeBack();
      else this.#world?.away();
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
    await this.#enter(
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
      enter: (fields, entered) => this.#enter(fields, entered),
      left: (world) => {
        if (this.#world === world) this.#world = null;
      },
    };
  }

  /**
   * Asks, and hands the answer on as it is read: what waits for a promise may come after the first frames, which make no
   * sense without it.
   */
  #enter(
    fields: EnterFields,
    entered: (answer: EnterAnswer) => void,
    timeoutMs = this.#timeoutMs,
  ): Promise<void> {
    if (!this.socket.active) {
      return Promise.reject(new LakhError("disconnected", "Not connected: no world was entered."));
    }
    return new Promise((done, fail) => {
      const heard = (lost: Error | null, answer?: unknown) => {
        if (lost) {
          fail(new LakhError("timeout", "No answer to world:enter in time.", { cause: lost }));
          return;
        }
        try {
          entered(readAnswer("world:enter", answer) as EnterAnswer);
          done();
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.socket.timeout(timeoutMs).emit("world:enter", fields, heard);
    });
  }
}

function bytesOf(frame: ArrayBuffer | Uint8Array): Uint8Array {
  return frame instanceof Uint8Array ? frame : new Uint8Array(frame);
}
