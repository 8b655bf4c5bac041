/**
 * What the browser remembers for a person between visits: drafts, messages that never left, and
 * how far each room was read. Keys carry the person's id, so two names in one browser don't mix.
 */
import type { Outgoing } from "lakh-client";
import type { Shelf } from "../app/storage.ts";

const RECENT = 12;

export class Memory {
  readonly #shelf: Shelf;
  readonly #person: string;

  constructor(shelf: Shelf, person: string) {
    this.#shelf = shelf;
    this.#person = person;
  }

  draft(room: string, thread?: number): string {
    return this.#shelf.read(this.#key("draft", place(room, thread))) ?? "";
  }

  keepDraft(room: string, text: string, thread?: number): void {
    this.#shelf.write(this.#key("draft", place(room, thread)), text || null);
  }

  /** Whether one has said that one is away. */
  away(): boolean {
    return this.#shelf.read(this.#key("away")) !== null;
  }

  keepAway(away: boolean): void {
    this.#shelf.write(this.#key("away"), away ? "yes" : null);
  }

  /** The emoji used last, the newest first. */
  recentEmoji(): string[] {
    const stored = parse(this.#shelf.read(this.#key("emoji")));
    return Array.isArray(stored) ? stored.filter((one) => typeof one === "string") : [];
  }

  useEmoji(emoji: string): void {
    const recent = [emoji, ...this.recentEmoji().filter((one) => one !== emoji)];
    this.#shelf.write(this.#key("emoji"), JSON.stringify(recent.slice(0, RECENT)));
  }

  /** Messages of an earlier visit that the server never confirmed: they wait again. */
  outbox(room: string): Outgoing[] {
    const stored = parse(this.#shelf.read(this.#key("outbox", room)));
    if (!Array.isArray(stored)) return [];
    return stored.filter(isOutgoing).map((one) => ({
      ...one,
      status: one.status === "failed" ? "failed" : "waiting",
    }));
  }

  keepOutbox(room: string, outbox: readonly Outgoing[]): void {
    const text = outbox.length > 0 ? JSON.stringify(outbox) : null;
    this.#shelf.write(this.#key("outbox", room), text);
  }

  readMarks(): Record<string, number> {
    const stored = parse(this.#shelf.read(this.#key("read")));
    if (typeof stored !== "object" || stored === null) return {};
    return Object.fromEntries(
      Object.entries(stored).filter((entry): entry is [string, number] => {
        return typeof entry[1] === "number";
      }),
    );
  }

  keepReadMarks(marks: Readonly<Record<string, number>>): void {
    this.#shelf.write(this.#key("read"), JSON.stringify(marks));
  }

  #key(what: string, room?: string): string {
    return ["lakh", "chat", this.#person, what, room]
      .filter((part) => part !== undefined)
      .join(":");
  }
}

/** No room's name has a line feed in it. */
function place(room: string, thread: number | undefined): string {
  return thread === undefined ? room : `${room}\n${thread}`;
}

function parse(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

function isOutgoing(value: unknown): value is Outgoing {
  if (typeof value !== "object" || value === null) return false;
  const one = value as Partial<Record<keyof Outgoing, unknown>>;
  return (
    typeof one.key === "string" && typeof one.text === "string" && typeof one.time === "number"
  );
}
