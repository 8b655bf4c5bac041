/** Requests for moderators, and for people about their own data. */
import type { ChatReport, ModerationEntry } from "./shapes.js";
import type { OfMessage } from "./messages.js";

export interface ModerationRequests {
  "report:send": { fields: OfMessage & { reason: string }; answer: object };
  "report:list": {
    fields: { room?: string; state?: string; cursor?: string };
    answer: { reports: ChatReport[]; cursor: string | null };
  };
  "report:close": { fields: { id: string; outcome: string; note?: string }; answer: object };
  "moderation:log": {
    fields: { room: string; cursor?: string };
    answer: { entries: ModerationEntry[]; cursor: string | null };
  };
}

export interface DataRequests {
  /** All that is kept of oneself, at this address. */
  "data:export": { fields: object; answer: { url: string } };
  "data:erase": { fields: { person?: string }; answer: object };
}
