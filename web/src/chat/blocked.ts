/** Whom one has blocked, as soon as somebody asks. */
import type { ChatClient } from "lakh-client";
import { Store } from "../app/store.ts";

export class Blocked {
  /** Null until the list is here. */
  readonly ids = new Store<ReadonlySet<string> | null>(null);
  readonly #chat: ChatClient;

  constructor(chat: ChatClient) {
    this.#chat = chat;
  }

  /** As the server has it now: other devices may have changed it. */
  async load(): Promise<void> {
    const ids = new Set<string>();
    let cursor: string | null | undefined;
    do {
      const page = await this.#chat.block.list(cursor ? { cursor } : {});
      for (const { id } of page.people) ids.add(id);
      cursor = page.cursor;
    } while (cursor);
    this.ids.set(ids);
  }

  async add(person: string): Promise<void> {
    await this.#chat.block.add({ person });
    this.ids.update((old) => new Set(old).add(person));
  }

  async remove(person: string): Promise<void> {
    await this.#chat.block.remove({ person });
    this.ids.update((old) => new Set([...(old ?? [])].filter((id) => id !== person)));
  }
}
