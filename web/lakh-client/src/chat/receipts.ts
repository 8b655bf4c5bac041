/** Requests on what was read, and by whom. */
import type { ChatReceipt, Marks } from "./shapes.js";

export interface UnreadOf extends Marks {
  room: string;
}

export interface ReceiptRequests {
  "receipt:delivered": { fields: { room: string; seq: number }; answer: Marks };
  "receipt:read": { fields: { room: string; seq: number }; answer: Marks };
  /** Unread from this message on. */
  "receipt:unread": { fields: { room: string; seq: number }; answer: Marks };
  /** `rooms`: in how many something was unread. */
  "receipt:read_all": { fields: object; answer: { rooms: number } };
  "receipt:list": {
    fields: { room: string; cursor?: string; limit?: number };
    answer: { people: ChatReceipt[]; cursor: string | null };
  };
  "unread:get": {
    fields: object;
    /** `complete`: false where the list leaves some rooms out; the totals are of all. */
    answer: { unread: number; mentions: number; rooms: UnreadOf[]; complete: boolean };
  };
}
