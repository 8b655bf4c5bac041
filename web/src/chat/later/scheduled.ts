/** One's messages that wait for their time: listed once a connection, and kept true by what is heard. */
import { LakhError, type ChatClient, type ChatMessage, type ChatScheduled } from "lakh-client";
import { Store } from "../../app/store.ts";

export class Scheduled {
  /** The next one first; null until the server has told. */
  readonly list = new Store<readonly ChatScheduled[] | null>(null);
  readonly #chat: ChatClient;

  constructor(chat: ChatClient) {
    this.#chat = chat;
  }

  async load(): Promise<void> {
    try {
      const { scheduled } = await this.#chat.scheduled.list({});
      this.list.set(scheduled);
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      // Lost: asked again at the next arrival.
    }
  }

  put(one: ChatScheduled): void {
    const others = (this.list.get() ?? []).filter(({ id }) => id !== one.id);
    this.list.set([...others, one].sort((a, b) => a.at - b.at));
  }

  drop(id: string): void {
    const before = this.list.get();
    if (before) this.list.set(before.filter((one) => one.id !== id));
  }

  /** A message of one's own has arrived: it may be one that waited. */
  sent({ room, key }: ChatMessage): void {
    const before = this.list.get();
    if (!before?.some((one) => one.room === room && one.key === key)) return;
    this.list.set(before.filter((one) => one.room !== room || one.key !== key));
  }

  async cancel(id: string): Promise<void> {
    try {
      await this.#chat.scheduled.cancel({ id });
    } catch (error) {
      // Sent, or cancelled on another device: it waits no more either way.
      if (error instanceof LakhError && error.code === "not_found") this.drop(id);
      throw error;
    }
    this.drop(id);
  }

  async change(id: string, text: string, at: number): Promise<void> {
    const { scheduled } = await this.#chat.scheduled.change({ id, text, at });
    this.put(scheduled);
  }
}
