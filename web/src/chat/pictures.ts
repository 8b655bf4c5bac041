/**
 * The pictures of people, by their ids: messages and lists name people without them, so they are
 * asked for once, many at a time, and what changes is told.
 */
import { LakhError, type ChatClient, type ChatUser } from "lakh-client";
import { Store } from "../app/store.ts";

/** As many as one request may name. */
const AT_ONCE = 100;

export class Pictures {
  readonly known = new Store<ReadonlyMap<string, string>>(new Map());
  readonly #chat: ChatClient;
  readonly #asked = new Set<string>();
  readonly #wanted = new Set<string>();
  #waiting = false;

  constructor(chat: ChatClient) {
    this.#chat = chat;
  }

  want(ids: Iterable<string>): void {
    for (const id of ids) {
      if (this.#asked.has(id)) continue;
      this.#asked.add(id);
      this.#wanted.add(id);
    }
    if (this.#wanted.size === 0 || this.#waiting) return;
    this.#waiting = true;
    setTimeout(() => {
      this.#waiting = false;
      void this.#ask();
    }, 0);
  }

  /** What the server has told by itself. */
  learn({ id, picture }: ChatUser): void {
    this.#asked.add(id);
    const known = new Map(this.known.get());
    if (known.get(id) === picture) return;
    if (picture) known.set(id, picture);
    else known.delete(id);
    this.known.set(known);
  }

  async #ask(): Promise<void> {
    const people = [...this.#wanted].slice(0, AT_ONCE);
    for (const id of people) this.#wanted.delete(id);
    try {
      const answer = await this.#chat.person.get({ people });
      const found = answer.people.filter((one) => one.picture !== undefined);
      if (found.length > 0) {
        const known = new Map(this.known.get());
        for (const { id, picture } of found) if (picture) known.set(id, picture);
        this.known.set(known);
      }
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      // Initials do; whoever is seen again later is asked for again.
      for (const id of people) this.#asked.delete(id);
      return;
    }
    if (this.#wanted.size > 0) await this.#ask();
  }
}
