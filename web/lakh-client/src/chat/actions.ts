/** What one does to messages: shown at once, and as it was if the server refuses. */
import type { User } from "../types.js";
import { toggleReaction } from "./changes.js";
import type { ChatClient } from "./client.js";
import type { MessageChanged } from "./events.js";
import type { MessageLog } from "./log.js";
import type { ChatMessage, ChatReaction } from "./shapes.js";

/** Names a message of a room: by its number, or by that in the thread under `thread`. */
export interface MessageRef {
  seq: number;
  thread?: number;
}

interface Where {
  readonly chat: ChatClient;
  readonly room: string;
  readonly me: User;
}

type LogOf = (thread: number | undefined) => MessageLog | undefined;

export class MessageActions {
  readonly #where: Where;
  readonly #logOf: LogOf;

  constructor(where: Where, logOf: LogOf) {
    this.#where = where;
    this.#logOf = logOf;
  }

  async react(
    { seq, thread }: MessageRef,
    emoji: string,
    mode?: "each" | "one" | "counted",
  ): Promise<void> {
    const { chat, me } = this.#where;
    const message = this.#logOf(thread)?.find(seq);
    if (!message) return;
    const { reactions, added } = toggleReaction(message.reactions ?? [], emoji, me, mode);
    const fields = { ...this.#ref(seq, thread), emoji };
    await this.#act(message, { reactions }, async () => {
      const answer = added ? await chat.reaction.add(fields) : await chat.reaction.remove(fields);
      this.#countMine({ seq, thread }, answer.reactions);
      return {};
    });
  }

  async edit({ seq, thread }: MessageRef, text: string, mentions: string[]): Promise<void> {
    const message = this.#logOf(thread)?.find(seq);
    const fields = { ...this.#ref(seq, thread), text, mentions };
    const set = { text, edited_at: Date.now() };
    await this.#act(message, set, () => this.#where.chat.message.edit(fields));
  }

  async delete({ seq, thread }: MessageRef): Promise<void> {
    const message = this.#logOf(thread)?.find(seq);
    const deleted = { by: this.#where.me, at: Date.now() };
    const set = { text: "", deleted, attachments: null, reactions: null, pinned: null };
    const ref = this.#ref(seq, thread);
    await this.#act(message, set, () => this.#where.chat.message.delete(ref));
  }

  async pin({ seq, thread }: MessageRef, pinned: boolean): Promise<void> {
    const message = this.#logOf(thread)?.find(seq);
    const set = { pinned: pinned ? { by: this.#where.me, at: Date.now() } : null };
    const fields = { ...this.#ref(seq, thread), pinned };
    await this.#act(message, set, () => this.#where.chat.message.pin(fields));
  }

  async #act(
    message: ChatMessage | undefined,
    set: MessageChanged["set"],
    ask: () => Promise<{ message?: ChatMessage }>,
  ): Promise<void> {
    const log = message && this.#logOf(message.thread);
    if (message) log?.change(message.seq, set);
    const shown = message && log?.find(message.seq);
    try {
      const { message: answer } = await ask();
      if (answer) this.#logOf(answer.thread)?.replace(answer);
    } catch (error) {
      // Only if nothing else has come over it: then the server's word stands.
      if (message && log?.find(message.seq) === shown) log?.replace(message);
      throw error;
    }
  }

  /** Only the answer to one's own request says how many are one's own; the rest may be older. */
  #countMine(
    { seq, thread }: { seq: number; thread: number | undefined },
    told: readonly ChatReaction[],
  ): void {
    const log = this.#logOf(thread);
    const known = log?.find(seq)?.reactions;
    if (!known) return;
    const reactions = known.map((one) => {
      const mine = told.find(({ emoji }) => emoji === one.emoji)?.mine ?? 0;
      return { ...one, mine };
    });
    log.change(seq, { reactions });
  }

  #ref(seq: number, thread: number | undefined) {
    const { room } = this.#where;
    return { room, seq, ...(thread === undefined ? {} : { thread }) };
  }
}
