/**
 * Chat: namespace `/chat`. Each request of the protocol is a method of its area, with its types:
 * `chat.member.kick({room, person})` sends `member:kick`. What is asked most has a shorter way.
 */
import type { Manager } from "socket.io-client";
import { LakhError } from "../errors.js";
import { NamespaceClient, type NamespaceOptions, type RequestOptions } from "../namespace.js";
import { putFile, type AttachmentRequests, type PutOptions } from "./attachments.js";
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
import type { ChatAttachment } from "./shapes.js";

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

/** How long a server may take to say that it knows a request. */
const PROBE_MS = 4000;

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

  constructor(manager: Manager, options: NamespaceOptions) {
    super(manager, "/chat", options);
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
    const { name, size, type } = file;
    const ticket = await this.attachment.upload({ room, name, size, type });
    return putFile(ticket, file, options);
  }

  /**
   * Which of these requests the server knows, found out by sending them without fields: for a
   * client that is newer than its server. Name only requests that do nothing without fields.
   */
  async probe(
    names: readonly ChatRequestName[],
    options: RequestOptions = { timeoutMs: PROBE_MS },
  ): Promise<Set<ChatRequestName>> {
    const known = await Promise.all(names.map((name) => this.knows(name, options)));
    return new Set(names.filter((_name, index) => known[index]));
  }

  /** Whether the server knows a request that does nothing without fields. */
  async knows(
    name: ChatRequestName,
    options: RequestOptions = { timeoutMs: PROBE_MS },
  ): Promise<boolean> {
    try {
      await this.request(name, {}, options);
      return true;
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      // A lost connection says nothing of the request, so whoever asks has to ask again.
      if (error.code === "disconnected") throw error;
      return error.code !== "timeout" && error.code !== "unknown_request";
    }
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
