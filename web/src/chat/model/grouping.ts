/** Messages as rows on the page: a line for each day, and what one person says at a stretch as one block. */
import type { ChatMessage, ChatUser, Outgoing, User } from "lakh-client";

/** A pause longer than this starts a new block. */
export const BLOCK_MS = 5 * 60_000;

export interface Line {
  /** The server's number, or null while the message is on its way. */
  readonly seq: number | null;
  readonly key: string;
  readonly text: string;
  readonly time: number;
  /** The server's copy; null while the message is on its way. */
  readonly message: ChatMessage | null;
  readonly outgoing: Outgoing | null;
}

export interface BlockRow {
  readonly kind: "block";
  readonly id: string;
  readonly from: ChatUser;
  readonly mine: boolean;
  readonly lines: readonly Line[];
}

export type Row =
  | { readonly kind: "day"; readonly id: string; readonly time: number }
  /** Stands before what is new to the reader. */
  | { readonly kind: "new"; readonly id: string }
  | BlockRow;

/**
 * `newAfter`: the number up to which the reader had read, where that is to be marked. `fromStart`: no message came before
 * these. Otherwise what is new may begin before them, and there is no line to draw.
 */
export function toRows(
  messages: readonly ChatMessage[],
  outbox: readonly Outgoing[],
  me: User,
  newAfter: number | null = null,
  fromStart = true,
): Row[] {
  const rows: Row[] = [];
  let block: { from: ChatUser; mine: boolean; lines: Line[]; last: number } | null = null;
  let day = "";

  const add = (from: ChatUser, line: Line) => {
    const today = dayOf(line.time);
    if (today !== day) {
      day = today;
      block = null;
      rows.push({ kind: "day", id: `day ${today}`, time: line.time });
    }
    const follows = block?.from.id === from.id && line.time - block.last <= BLOCK_MS;
    if (block && follows) {
      block.lines.push(line);
      block.last = line.time;
      return;
    }
    const lines = [line];
    const mine = from.id === me.id;
    block = { from, mine, lines, last: line.time };
    rows.push({ kind: "block", id: line.key, from, mine, lines });
  };

  const first = messages[0]?.seq ?? 0;
  let marked = newAfter === null || (!fromStart && first > newAfter + 1);
  for (const message of messages) {
    const { seq, from } = message;
    if (!marked && seq > (newAfter ?? 0) && from.id !== me.id) {
      marked = true;
      block = null;
      rows.push({ kind: "new", id: "new" });
    }
    add(from, lineOf(message));
  }
  const latest = messages.at(-1)?.time ?? 0;
  for (const outgoing of outbox) {
    const { key, text } = outgoing;
    // The page's clock may be behind the server's: what is written last still stands last.
    const time = Math.max(outgoing.time, latest);
    add(me, { seq: null, key: `${me.id} ${key}`, text, time, message: null, outgoing });
  }
  return rows;
}

/** One line a message, for ever: so that a new message draws itself and not the whole room. */
const lines = new WeakMap<ChatMessage, Line>();

function lineOf(message: ChatMessage): Line {
  const known = lines.get(message);
  if (known) return known;
  const { seq, key, text, time, from } = message;
  const line = { seq, key: `${from.id} ${key}`, text, time, message, outgoing: null };
  lines.set(message, line);
  return line;
}

/** Whether both would be drawn alike. */
export function isSameBlock(a: BlockRow, b: BlockRow): boolean {
  return (
    a.id === b.id &&
    a.mine === b.mine &&
    a.from.name === b.from.name &&
    a.from.picture === b.from.picture &&
    a.lines.length === b.lines.length &&
    a.lines.every((line, index) => line === b.lines[index])
  );
}

/** The day in the reader's own time zone. */
export function dayOf(time: number): string {
  const date = new Date(time);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}
