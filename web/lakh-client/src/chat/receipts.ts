/** Requests on what was read, and by whom. */
import type { ChatReceipt } from "./shapes.js";

export interface UnreadOf {
  room: string;
  unread: number;
  mentions: number;
}

interface Marked {
  unread?: number;
  mentions?: number;
}

export interface ReceiptRequests {
  "receipt:delivered": { fields: { room: string; seq: number }; answer: Marked };
  "receipt:read": { fields: { room: string; seq: number }; answer: Marked };
  /** Unread from this message on. */
  "receipt:unread": { fields: { room: string; seq: number }; answer: Marked };
  "receipt:read_all": { fields: object; answer: object };
  "receipt:list": {
    fields: { room: string; cursor?: string };
    answer: { people: ChatReceipt[]; cursor: string | null };
  };
  "unread:get": {
    fields: object;
    answer: { unread: number; mentions: number; rooms: UnreadOf[] };
  };
}
