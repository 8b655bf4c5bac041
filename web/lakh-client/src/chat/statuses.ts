/**
 * Who of some people is there: asked once, told by the server from then on, and asked anew after
 * a lost connection. Several parts of a program may want the same person; the last one lets go.
 */
import { LakhError } from "../errors.js";
import type { ChatClient } from "./client.js";
import type { PresenceChange } from "./events.js";

/** As many as one request may name. */
const AT_ONCE = 200;

export class PeopleStatus {
  readonly #chat: ChatClient;
  readonly #wanted = new Map<string, number>();
  readonly #known = new Map<string, PresenceChange>();
  readonly #watchers = new Set<(change: PresenceChange) => void>();
  readonly #stops: (() => void)[];
  #asked = new Set<string>();
  #gone = new Set<string>();
  #waiting = false;

  constructor(chat: ChatClient) {
    this.#chat = chat;
    this.#stops = [
      chat.on("presence:change", (change) => this.#tell(change)),
      chat.onState(({ status }) => {
        if (status !== "connected") return;
        // On several nodes what changed meanwhile isn't told again, recovered or not.
        this.#asked = new Set(this.#wanted.keys());
        this.#gone.clear();
        this.#soon();
      }),
    ];
  }

  /** Undefined until the server has said. */
  get(id: string): PresenceChange | undefined {
    return this.#known.get(id);
  }

  onChange(watcher: (change: PresenceChange) => void): () => void {
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** Follows these people until the returned function is called. */
  watch(ids: readonly string[]): () => void {
    for (const id of ids) {
      const before = this.#wanted.get(id) ?? 0;
      this.#wanted.set(id, before + 1);
      if (before === 0 && !this.#gone.delete(id)) this.#asked.add(id);
    }
    this.#soon();
    let held = true;
    return () => {
      if (held) this.#release(ids);
      held = false;
    };
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #release(ids: readonly string[]): void {
    for (const id of ids) {
      const left = (this.#wanted.get(id) ?? 1) - 1;
      if (left > 0) {
        this.#wanted.set(id, left);
        continue;
      }
      this.#wanted.delete(id);
      this.#known.delete(id);
      if (!this.#asked.delete(id)) this.#gone.add(id);
    }
    this.#soon();
  }

  /** What is wanted and let go at a time goes together. */
  #soon(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    queueMicrotask(() => {
      this.#waiting = false;
      void this.#ask();
    });
  }

  async #ask(): Promise<void> {
    if (this.#chat.state.status !== "connected") return;
    const [asked, gone] = [[...this.#asked], [...this.#gone]];
    this.#asked.clear();
    this.#gone.clear();
    try {
      for (let at = 0; at < gone.length; at += AT_ONCE) {
        await this.#chat.request("presence:unwatch", { people: gone.slice(at, at + AT_ONCE) });
      }
      for (let at = 0; at < asked.length; at += AT_ONCE) {
        const people = asked.slice(at, at + AT_ONCE);
        const answer = await this.#chat.request("presence:watch", { people });
        for (const one of answer.people) this.#tell(one);
      }
    } catch (error) {
      // Lost: asked again at the next arrival. Refused: nothing is known of them.
      if (!(error instanceof LakhError)) throw error;
    }
  }

  #tell(change: PresenceChange): void {
    if (!this.#wanted.has(change.id)) return;
    this.#known.set(change.id, change);
    for (const watcher of [...this.#watchers]) watcher(change);
  }
}
