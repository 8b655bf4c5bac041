/** One room: what its members share besides events. */
import { Cursors } from "./cursors.js";
import { Lock, type AcquireOptions, type LockChanged, type LockInfo } from "./locks.js";
import { RoomState, type FollowOptions, type Wire } from "./state.js";

export class Room {
  readonly name: string;
  readonly #wire: Wire;
  readonly #own: () => string | undefined;
  readonly #send: (event: string, fields: object) => void;

  /** `own` gives this socket's id, `send` sends without waiting for an answer. */
  constructor(
    name: string,
    wire: Wire,
    own: () => string | undefined,
    send: (event: string, fields: object) => void,
  ) {
    this.name = name;
    this.#wire = wire;
    this.#own = own;
    this.#send = send;
  }

  /** Follows the state: `const board = await rooms.room("board").state<{ title: string }>()`. */
  state<S extends object = Record<string, unknown>>(
    options?: FollowOptions,
  ): Promise<RoomState<S>> {
    return new RoomState<S>(this.#wire, this.name, options).open();
  }

  /** Takes a lock, or waits for it. */
  lock(name: string, options: AcquireOptions): Promise<Lock> {
    return Lock.acquire(this.#wire, this.name, name, options);
  }

  /** Hears of the locks from here on; gives those that are held. */
  async watchLocks(
    listener: (lock: LockChanged) => void,
  ): Promise<{ locks: LockInfo[]; stop: () => void }> {
    const stop = this.#wire.listen("lock:changed", (lock: LockChanged) => {
      if (lock.room === this.name) listener(lock);
    });
    const answer = await this.#wire.request("lock:watch", { room: this.name });
    return { locks: (answer as { locks: LockInfo[] }).locks, stop };
  }

  /** Follows the cursors. */
  cursors(): Promise<Cursors> {
    return new Cursors(this.#wire, this.name, this.#own, this.#send).open();
  }
}
