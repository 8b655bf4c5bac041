/** Messages on their way: kept until the server has them, with the key that makes a retry harmless. */
import type { Carried } from "./messages.js";
import type { ChatAttachment, ChatQuote } from "./shapes.js";

/** A message on its way. It leaves the list when the server's own copy arrives. */
export interface Outgoing {
  readonly key: string;
  readonly text: string;
  /** When it was written, by the client's clock. */
  readonly time: number;
  /** `waiting`: for the connection, and goes out by itself once that is back. */
  readonly status: "sending" | "waiting" | "failed";
  /** Why it failed, in the server's words. */
  readonly error?: string;
  readonly thread?: number;
  readonly carried?: Carried;
  /** To be shown until the server's copy comes. */
  readonly attachments?: readonly ChatAttachment[];
  readonly reply_to?: ChatQuote;
}

export interface Draft {
  text: string;
  carried?: Carried;
  attachments?: readonly ChatAttachment[];
  reply_to?: ChatQuote;
}

/** Where messages outlive the page. */
export interface OutboxShelf {
  outbox(room: string): Outgoing[];
  keepOutbox(room: string, outbox: readonly Outgoing[]): void;
}

export type OutboxAction =
  | { type: "send"; message: Outgoing }
  | { type: "sending"; key: string }
  | { type: "unsent"; key: string; status: "waiting" | "failed"; error?: string }
  | { type: "gone"; key: string };

export function reduceOutbox(
  outbox: readonly Outgoing[],
  action: OutboxAction,
): readonly Outgoing[] {
  switch (action.type) {
    case "send":
      return [...outbox, action.message];
    case "gone":
      return outbox.some((one) => one.key === action.key)
        ? outbox.filter((one) => one.key !== action.key)
        : outbox;
    case "sending":
      return outbox.map((one) =>
        one.key === action.key ? { ...withoutError(one), status: "sending" } : one,
      );
    case "unsent": {
      const { key, status, error } = action;
      return outbox.map((one) => {
        if (one.key !== key) return one;
        return { ...withoutError(one), status, ...(error ? { error } : {}) };
      });
    }
  }
}

function withoutError(outgoing: Outgoing): Outgoing {
  const { error: _error, ...rest } = outgoing;
  return rest;
}
