/**
 * One log of messages, a room's or a thread's: its window, what is on its way to it, and the
 * requests that move the window. Its owner, a `ChatRoom`, tells it what the server says.
 */
import { LakhError } from "../errors.js";
import type { User } from "../types.js";
import { changeMessage, ownMessage } from "./changes.js";
import type { ChatClient } from "./client.js";
import type { MessageChanged } from "./events.js";
import { messageKey } from "./key.js";
import type { Range } from "./messages.js";
import { reduceOutbox, type Draft, type Outgoing, type OutboxAction } from "./outbox.js";
import type { ChatMessage } from "./shapes.js";
import * as run from "./window.js";
import type { ChatWindow } from "./window.js";

/** What lies beyond one end of the window. */
export type Edge = "unknown" | "more" | "loading" | "failed" | "none";

export interface LogState extends ChatWindow {
  readonly older: Edge;
  readonly newer: Edge;
  readonly outbox: readonly Outgoing[];
  /** Why the first page did not come. */
  readonly problem: LakhError | null;
}

/** What a log needs of its room. */
export interface LogOwner {
  readonly chat: ChatClient;
  readonly room: string;
  readonly me: User;
  /** Whether the server knows us in the room, on this connection. */
  readonly entered: boolean;
  /** The most messages of a window. */
  readonly keep: number;
  /** `sent` by oneself: the server's copy, which may tell who one is. */
  changed(log: MessageLog): void;
  outboxChanged(): void;
  sent(message: ChatMessage): void;
}

const PAGE = 50;
const CATCH_UP_PAGE = 200;
/** Further behind than this many pages, the newest one is a better place to go on. */
const CATCH_UP_PAGES = 5;

export class MessageLog {
  /** The number of the message under which this log stands, for a thread. */
  readonly thread: number | undefined;
  readonly #owner: LogOwner;
  #state: LogState;
  #catchingUp = false;
  /** Counts the loads that start the window anew: what an earlier one brings late is dropped. */
  #turn = 0;

  constructor(owner: LogOwner, thread: number | undefined, outbox: readonly Outgoing[]) {
    this.#owner = owner;
    this.thread = thread;
    this.#state = {
      ...run.emptyWindow,
      older: "unknown",
      newer: "none",
      outbox,
      problem: null,
    };
  }

  get state(): LogState {
    return this.#state;
  }

  // Where one reads

  /** The newest page. */
  async toNewest(): Promise<void> {
    await this.#load({ limit: PAGE }, (window, page) => run.setNewest(window, page));
  }

  /** A page around a message. False if there is no such message any more. */
  async jumpTo(seq: number): Promise<boolean> {
    if (run.placeOf(this.#state.messages, seq) !== -1) return true;
    await this.#load({ around: seq, limit: PAGE }, (window, page, more_after) =>
      run.setAround(window, page, more_after),
    );
    return run.placeOf(this.#state.messages, seq) !== -1;
  }

  async loadOlder(): Promise<void> {
    const { loaded, older } = this.#state;
    if (!loaded || (older !== "more" && older !== "failed")) return;
    const turn = this.#turn;
    this.#set({ older: "loading" });
    try {
      const before = run.firstSeq(this.#state);
      const { messages, more } = await this.#history({ before, limit: PAGE });
      if (turn !== this.#turn) return;
      const grown = run.addOlder(this.#state, this.#own(messages));
      const window = run.trimNewest(grown, this.#owner.keep);
      this.#set({
        ...window,
        older: more ? "more" : "none",
        newer: window.atEnd ? "none" : "more",
      });
    } catch (error) {
      if (turn === this.#turn) this.#set({ older: "failed" });
      this.#expected(error);
    }
  }

  async loadNewer(): Promise<void> {
    const { loaded, newer } = this.#state;
    if (!loaded || (newer !== "more" && newer !== "failed")) return;
    const turn = this.#turn;
    this.#set({ newer: "loading" });
    try {
      const after = run.lastSeq(this.#state);
      const { messages, more } = await this.#history({ after, limit: PAGE });
      if (turn !== this.#turn) return;
      const grown = run.addNewer(this.#state, this.#own(messages), !more);
      const window = run.trimOldest(grown, this.#owner.keep);
      const trimmed = window.messages.length < grown.messages.length;
      this.#set({
        ...window,
        newer: more ? "more" : "none",
        older: trimmed ? "more" : this.#state.older,
      });
    } catch (error) {
      if (turn === this.#turn) this.#set({ newer: "failed" });
      this.#expected(error);
    }
  }

  /** Forgets old messages while the end is being read; scrolling up loads them again. */
  trim(keep: number): void {
    const window = run.trimOldest(this.#state, keep);
    if (window !== this.#state) this.#set({ ...window, older: "more" });
  }

  // What is said

  /** Sends a message; while there is no connection, it waits for one. */
  send({ text, carried, attachments, reply_to }: Draft): string {
    const key = messageKey();
    const message: Outgoing = {
      key,
      text,
      time: Date.now(),
      status: "waiting",
      ...(this.thread === undefined ? {} : { thread: this.thread }),
      ...(carried ? { carried } : {}),
      ...(attachments?.length ? { attachments } : {}),
      ...(reply_to ? { reply_to } : {}),
    };
    this.#outbox({ type: "send", message });
    if (this.#owner.entered) void this.#transmit(key);
    return key;
  }

  /** Sends a failed message again, with the key it had: it can't end up there twice. */
  retry(key: string): void {
    if (this.#owner.entered) void this.#transmit(key);
    else this.#outbox({ type: "unsent", key, status: "waiting" });
  }

  discard(key: string): void {
    this.#outbox({ type: "gone", key });
  }

  /** Sends all that waits for the connection. */
  flush(): void {
    for (const { key, status } of this.#state.outbox) {
      if (status === "waiting") void this.#transmit(key);
    }
  }

  // What the server says

  hear(message: ChatMessage): void {
    const window = run.addLive(this.#state, this.#own([message])[0] ?? message);
    const newer = window.atEnd ? "none" : this.#state.newer;
    // The broadcast may overtake the answer to the sender: either takes it out.
    this.#arrived([message], { ...window, newer });
    if (run.hasGap(this.#state)) void this.catchUp().catch(this.#expected);
  }

  change(seq: number, set: MessageChanged["set"]): void {
    const myId = this.#owner.me.id;
    const window = run.amend(this.#state, seq, (message) => changeMessage(message, set, myId));
    if (window !== this.#state) this.#set(window);
  }

  /** The server's own copy, whole. */
  replace(message: ChatMessage): void {
    const myId = this.#owner.me.id;
    const window = run.amend(this.#state, message.seq, (known) => ownMessage(message, known, myId));
    if (window !== this.#state) this.#set(window);
  }

  find(seq: number): ChatMessage | undefined {
    return this.#state.messages[run.placeOf(this.#state.messages, seq)];
  }

  /** Messages after the run, as a sync brings them. */
  append(messages: readonly ChatMessage[], complete: boolean): void {
    if (!this.#state.loaded) return;
    if (!this.#state.atEnd) {
      const last = Math.max(this.#state.last, messages.at(-1)?.seq ?? 0);
      if (last !== this.#state.last) this.#set({ last });
      return;
    }
    const window = run.addNewer(this.#state, this.#own(messages), complete);
    this.#arrived(messages, run.trimOldest(window, this.#owner.keep * 2));
  }

  /** Asks for what is missing at the end; `seq` is the last number by the server. */
  async catchUp(seq = 0): Promise<void> {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    try {
      await this.#fillGap(seq);
    } finally {
      this.#catchingUp = false;
    }
  }

  async #fillGap(seq: number): Promise<void> {
    let target = seq;
    for (let pages = 0; run.hasGap(this.#state, target); pages += 1) {
      if (pages >= CATCH_UP_PAGES) return this.toNewest();
      const range = { after: run.lastSeq(this.#state), limit: CATCH_UP_PAGE };
      const { messages, more } = await this.#history(range);
      if (!this.#state.atEnd) return;
      this.#arrived(messages, run.addNewer(this.#state, this.#own(messages), !more));
      // The history is the authority: what it does not have is not awaited.
      if (!more) target = 0;
    }
  }

  async #load(
    range: Range,
    put: (window: ChatWindow, page: readonly ChatMessage[], moreAfter: boolean) => ChatWindow,
  ): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const answer = await this.#history(range);
      if (turn !== this.#turn) return;
      const { messages, more, more_before = more, more_after = false } = answer;
      const window = put(this.#state, this.#own(messages), more_after);
      const older = more_before ? "more" : "none";
      this.#set({ ...window, older, newer: window.atEnd ? "none" : "more", problem: null });
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      if (turn === this.#turn) this.#set({ problem: error });
      throw error;
    }
  }

  #history(range: Range) {
    const thread = this.thread === undefined ? {} : { thread: this.thread };
    return this.#owner.chat.history(this.#owner.room, { ...range, ...thread });
  }

  async #transmit(key: string): Promise<void> {
    const one = this.#state.outbox.find((outgoing) => outgoing.key === key);
    if (!one || one.status === "sending") return;
    this.#outbox({ type: "sending", key });
    const thread = this.thread === undefined ? {} : { thread: this.thread };
    try {
      const { chat, room } = this.#owner;
      const answer = await chat.send(room, one.text, { key, ...one.carried, ...thread });
      // A message for later has no number yet.
      const message = answer.message as ChatMessage | undefined;
      if (message) {
        this.#owner.sent(message);
        this.hear(message);
      }
      this.#outbox({ type: "gone", key });
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      const lost = error.code === "disconnected";
      if (lost) this.#outbox({ type: "unsent", key, status: "waiting" });
      else this.#outbox({ type: "unsent", key, status: "failed", error: error.message });
    }
  }

  /** Puts messages where they belong, and takes what was on its way out, at the same time. */
  #arrived(messages: readonly ChatMessage[], window: Partial<LogState>): void {
    let { outbox } = this.#state;
    for (const { from, key } of messages) {
      if (from.id === this.#owner.me.id) outbox = reduceOutbox(outbox, { type: "gone", key });
    }
    const taken = outbox !== this.#state.outbox;
    this.#set({ ...window, outbox });
    if (taken) this.#owner.outboxChanged();
  }

  #own(messages: readonly ChatMessage[]): ChatMessage[] {
    const myId = this.#owner.me.id;
    return messages.map((message) => ownMessage(message, undefined, myId));
  }

  #outbox(action: OutboxAction): void {
    const outbox = reduceOutbox(this.#state.outbox, action);
    if (outbox === this.#state.outbox) return;
    this.#set({ outbox });
    this.#owner.outboxChanged();
  }

  #set(change: Partial<LogState>): void {
    this.#state = { ...this.#state, ...change };
    this.#owner.changed(this);
  }

  /** A refusal or a lost connection shows in the state; anything else is a fault. */
  readonly #expected = (error: unknown): void => {
    if (!(error instanceof LakhError)) throw error;
  };
}
