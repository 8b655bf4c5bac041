/** Attachments: the right to fetch them, and how they are shown. */
import { withAccess, type ChatAttachment, type ChatClient } from "lakh-client";
import { Store } from "../../app/store.ts";

/** Asked for again this long before it ends. */
const EARLY_MS = 60_000;

class FileAccess {
  /** What is appended to addresses; null until the server has given one. */
  readonly value = new Store<string | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;

  async start(chat: ChatClient): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const { access, expires_at } = await chat.attachment.access({});
      this.value.set(access);
      const wait = Math.max(EARLY_MS, expires_at - Date.now() - EARLY_MS);
      // Longer than a timer can be set, and it would go off at once.
      this.#timer = setTimeout(() => void this.start(chat), Math.min(wait, 2 ** 31 - 1));
    } catch {
      this.#timer = setTimeout(() => void this.start(chat), EARLY_MS);
    }
  }
}

export const fileAccess = new FileAccess();

export function addressOf(url: string, access: string | null): string {
  // What a page still has in its own hands is shown from there.
  return /^(?:blob|data):/u.test(url) ? url : withAccess(url, access);
}

/** Kinds that every browser draws, and that hold no script. */
const PICTURES = /^image\/(?:png|jpeg|gif|webp|avif)$/u;

export function isPicture({ type }: Pick<ChatAttachment, "type">): boolean {
  return PICTURES.test(type);
}

const MOST_WIDTH = 360;
const MOST_HEIGHT = 280;
const LEAST = 48;

/** The size at which a picture is shown, before its first byte is here: so nothing jumps. */
export function shownSize({ width, height }: Pick<ChatAttachment, "width" | "height">): {
  width: number;
  height: number;
} {
  if (!width || !height) return { width: MOST_WIDTH, height: 220 };
  const scale = Math.min(1, MOST_WIDTH / width, MOST_HEIGHT / height);
  return {
    width: Math.max(LEAST, Math.round(width * scale)),
    height: Math.max(LEAST, Math.round(height * scale)),
  };
}
