/**
 * Chat: namespace `/chat`. Each request of the protocol is a method of its area, with its types:
 * `chat.member.kick({room, person})` sends `member:kick`. What is asked most has a shorter way.
 */
import type { Manager } from "socket.io-client";
import { LakhError } from "../errors.js";
import { NamespaceClient, type NamespaceOptions, type RequestOptions } from "../namespace.js";
import {
  ANY_TYPE,
  FileAccess,
  putFile,
  withAccess,
  type AttachmentRequests,
  type PutOptions,
} from "./attachments.js";
import type { ChatEvents } from "./events.js";
import { messageKey } from "./key.js";
import type {
  Carried,
  MessageRequests,
  Range,
  ReactionRequests,
  ScheduledRequests,
} from "./messages.js";
import type { DataRequests, ModerationRequests } from "./moderation.js";
import type { PeopleRequests, PresenceRequests } from "./people.js";
import type { ReceiptRequests } from "./receipts.js";
import type { MemberRequests, RoomRequests } from "./rooms.js";
import type { ChatAttachment, ChatScheduled } from "./shapes.js";

export interface ChatRequests
  extends
    RoomRequests,
    MemberRequests,
    PeopleRequests,
    PresenceRequests,
    MessageRequests,
    ReactionRequests,
    ScheduledRequests,
    ReceiptRequests,
    AttachmentRequests,
    ModerationRequests,
    DataRequests {}

export type ChatRequestName = keyof ChatRequests;

type Answer<K extends keyof ChatRequests> = Promise<ChatRequests[K]["answer"]>;

/** The requests whose names begin with `P:`, by what follows. */
export type Area<P extends string> = {
  readonly [K in ChatRequestName as K extends `${P}:${infer N}` ? N : never]: (
    fields: ChatRequests[K]["fields"],
    options?: RequestOptions,
  ) => Answer<K>;
};

export type HistoryRange = RequestOptions & Range & { thread?: number };

/** A server that takes no files refuses these alike. */
const OF_FILES: readonly ChatRequestName[] = [
  "attachment:upload",
  "attachment:access",
  "attachment:quota",
];

export class ChatClient extends NamespaceClient<ChatRequests, ChatEvents> {
  readonly room = this.#area("room");
  readonly member = this.#area("member");
  readonly ban = this.#area("ban");
  readonly me = this.#area("me");
  readonly person = this.#area("person");
  readonly block = this.#area("block");
  readonly message = this.#area("message");
  readonly pin = this.#area("pin");
  readonly reaction = this.#area("reaction");
  readonly live = this.#area("live");
  readonly scheduled = this.#area("scheduled");
  readonly receipt = this.#area("receipt");
  readonly unread = this.#area("unread");
  readonly attachment = this.#area("attachment");
  readonly report = this.#area("report");
  readonly moderation = this.#area("moderation");
  readonly data = this.#area("data");
  readonly #origin: string | undefined;
  readonly #lacking = new Set<ChatRequestName>();
  readonly #lackWatchers = new Set<() => void>();

  /** `origin`: the server's address; absent in a page of that server. */
  constructor(manager: Manager, options: NamespaceOptions, origin?: string) {
    super(manager, "/chat", options);
    this.#origin = origin;
  }

  override async request<K extends ChatRequestName>(
    event: K,
    fields: ChatRequests[K]["fields"],
    options?: RequestOptions,
  ): Answer<K> {
    try {
      return await super.request(event, fields, options);
    } catch (error) {
      if (error instanceof LakhError) this.#learn(event, error);
      throw error;
    }
  }

  /**
   * Whether the server knows a request, as far as one can tell: what it has refused with
   * `unknown_request` it doesn't, nor files where it said that it takes none.
   */
  knows(request: ChatRequestName): boolean {
    return !this.#lacking.has(request);
  }

  /** Hears that `knows` has become less. The returned function stops it. */
  onLacking(watcher: () => void): () => void {
    this.#lackWatchers.add(watcher);
    return () => {
      this.#lackWatchers.delete(watcher);
    };
  }

  /** Becomes a member of a room, and makes it when there is none. */
  join(room: string, options?: RequestOptions): Answer<"room:join"> {
    return this.request("room:join", { room }, options);
  }

  async leave(room: string, options?: RequestOptions): Promise<void> {
    await this.request("room:leave", { room }, options);
  }

  rooms({
    timeoutMs,
    ...fields
  }: RequestOptions & ChatRequests["room:list"]["fields"] = {}): Answer<"room:list"> {
    return this.request("room:list", fields, { timeoutMs });
  }

  /**
   * Sends a message. To try again after an error, call with the same `key`: the server
   * answers with the message it already has, and `duplicate: true`.
   */
  send(
    room: string,
    text: string,
    { key = messageKey(), timeoutMs, ...carried }: RequestOptions & Carried & { key?: string } = {},
  ): Answer<"message:send"> {
    return this.request("message:send", { room, key, text, ...carried }, { timeoutMs });
  }

  /** Sends a message at a time, in milliseconds since 1970. Again with the same `key` it's one. */
  async schedule(
    room: string,
    text: string,
    at: number,
    { key = messageKey(), timeoutMs, ...carried }: RequestOptions & Carried & { key?: string } = {},
  ): Promise<ChatScheduled> {
    const fields = { room, key, text, ...carried, at };
    const { scheduled } = await this.request("message:send", fields, { timeoutMs });
    if (!scheduled) throw new LakhError("bad_answer", "The message was sent at once.");
    return scheduled;
  }

  /** Messages by ascending number. `more`: there are others in the direction asked for. */
  history(room: string, { timeoutMs, ...range }: HistoryRange = {}): Answer<"message:history"> {
    return this.request("message:history", { room, ...range }, { timeoutMs });
  }

  /** The server forgets it after 6 s: say it again while it stays true. */
  async typing(
    room: string,
    typing: boolean,
    { timeoutMs, ...thread }: RequestOptions & { thread?: number } = {},
  ): Promise<void> {
    await this.request("typing:set", { room, typing, ...thread }, { timeoutMs });
  }

  presence(room: string, options?: RequestOptions): Answer<"presence:list"> {
    return this.request("presence:list", { room }, options);
  }

  /** Uploads a file for a message in `room`: its id goes into the message's `attachments`. */
  async upload(room: string, file: File, options: PutOptions = {}): Promise<ChatAttachment> {
    const { name, size } = file;
    const type = file.type || ANY_TYPE;
    const ticket = await this.attachment.upload({ room, name, size, type });
    return putFile(this.address(ticket.url), file, options);
  }

  /** The word by which one fetches files, kept fresh from `start()` to `stop()`. */
  files(onChange?: (word: string) => void): FileAccess {
    return new FileAccess(() => this.attachment.access({}), onChange);
  }

  /** A path of the server as an address; with the right to fetch it, where `access` is given. */
  address(path: string, access: string | null = null): string {
    const url = this.#origin === undefined ? path : new URL(path, this.#origin).href;
    return withAccess(url, access);
  }

  #learn(event: ChatRequestName, { code }: LakhError): void {
    const noFiles = code === "unsupported" && OF_FILES.includes(event);
    if (code !== "unknown_request" && !noFiles) return;
    for (const one of noFiles ? OF_FILES : [event]) this.#lacking.add(one);
    for (const watcher of [...this.#lackWatchers]) watcher();
  }

  #area<P extends string>(prefix: P): Area<P> {
    const methods = new Map<string, unknown>();
    return new Proxy({} as Area<P>, {
      get: (_target, name) => {
        // Promises ask whether what they are given is one of them.
        if (typeof name !== "string" || name === "then") return undefined;
        const known = methods.get(name);
        if (known) return known;
        const method = (fields: never, options?: RequestOptions) =>
          this.request(`${prefix}:${name}` as ChatRequestName, fields, options);
        methods.set(name, method);
        return method;
      },
    });
  }
}
