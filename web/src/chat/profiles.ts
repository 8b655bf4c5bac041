/**
 * What people are called and look like now, by their ids: messages name them as they were called then, and without a
 * picture. They are asked for once, many at a time, and what changes is told.
 */
import { LakhError, type ChatClient, type ChatUser } from "lakh-client";
import { Store } from "../app/store.ts";

/** As many as one request may name. */
const AT_ONCE = 100;

export interface Profile {
  readonly name: string;
  readonly picture?: string;
}

export class Profiles {
  readonly known = new Store<ReadonlyMap<string, Profile>>(new Map());
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
  learn(person: ChatUser): void {
    this.#asked.add(person.id);
    this.#know([person]);
  }

  async #ask(): Promise<void> {
    const people = [...this.#wanted].slice(0, AT_ONCE);
    for (const id of people) this.#wanted.delete(id);
    try {
      const answer = await this.#chat.person.get({ people });
      this.#know(answer.people);
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      // Initials do; whoever is seen again later is asked for again.
      for (const id of people) this.#asked.delete(id);
      return;
    }
    if (this.#wanted.size > 0) await this.#ask();
  }

  #know(people: readonly ChatUser[]): void {
    const before = this.known.get();
    const news = people.filter(({ id, name, picture }) => {
      const known = before.get(id);
      return known?.name !== name || known.picture !== picture;
    });
    if (news.length === 0) return;
    const known = new Map(before);
    for (const { id, name, picture } of news) {
      known.set(id, { name, ...(picture === undefined ? {} : { picture }) });
    }
    this.known.set(known);
  }
}
