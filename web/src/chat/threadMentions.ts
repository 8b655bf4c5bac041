/**
 * Mentions in threads that one has not looked at: threads have no count of what is unread, so the server tells of a mention
 * once, and the page remembers it for as long as it is open.
 */
import type { MentionNew } from "lakh-client";
import { Store } from "../app/store.ts";

export interface ThreadMention {
  readonly thread: number;
  readonly seq: number;
}

/** The newest few of a room lead somewhere; all of them would only be a number. */
const MOST = 20;

export class ThreadMentions {
  readonly byRoom = new Store<ReadonlyMap<string, readonly ThreadMention[]>>(new Map());

  hear({ room, thread, seq }: Pick<MentionNew, "room" | "thread" | "seq">): void {
    if (thread === undefined) return;
    this.byRoom.update((old) => {
      const all = [...(old.get(room) ?? []), { thread, seq }].slice(-MOST);
      return new Map(old).set(room, all);
    });
  }

  /** The thread stands open. */
  seen(room: string, thread: number): void {
    this.#keep(room, (one) => one.thread !== thread);
  }

  forget(room: string): void {
    this.#keep(room, () => false);
  }

  #keep(room: string, keeps: (one: ThreadMention) => boolean): void {
    const old = this.byRoom.get();
    const before = old.get(room);
    const after = before?.filter(keeps);
    if (!before || !after || after.length === before.length) return;
    const next = new Map(old);
    if (after.length === 0) next.delete(room);
    else next.set(room, after);
    this.byRoom.set(next);
  }
}
