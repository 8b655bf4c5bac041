/** Requests for moderators, and for people about their own data. */
import type { ChatReport, ModerationDeed } from "./shapes.js";
import type { OfMessage } from "./messages.js";

export interface ModerationRequests {
  /** One open report of a person on a message: a second is refused with `conflict`. */
  "report:send": { fields: OfMessage & { reason: string }; answer: { id: string } };
  /** Without a room: of all rooms whose reports one may see. A page may be short. */
  "report:list": {
    fields: { room?: string; state?: "open" | "closed"; cursor?: string };
    answer: { reports: ChatReport[]; cursor: string | null };
  };
  "report:close": {
    fields: { id: string; outcome: string; note?: string };
    answer: { report: ChatReport };
  };
  /** The newest deeds first. */
  "moderation:log": {
    fields: { room: string; cursor?: string };
    answer: { entries: ModerationDeed[]; cursor: string | null };
  };
}

export interface DataRequests {
  /** A path on the server, good once and for five minutes: a document of JSON lines. */
  "data:export": { fields: object; answer: { url: string; expires_at: number } };
  /** Oneself, if nobody is named. It can't be taken back. */
  "data:erase": { fields: { person?: string }; answer: object };
}
