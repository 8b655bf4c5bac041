/** Attachments: the right to fetch them, and how they are shown. */
import { withAccess, type ChatAttachment, type ChatClient, type FileAccess } from "lakh-client";
import { Store } from "../../app/store.ts";

/** The one of the page: its addresses are the same whichever chat has asked for the word. */
class PageAccess {
  /** What is appended to addresses; null until the server has given one. */
  readonly value = new Store<string | null>(null);
  #of: ChatClient | undefined;
  #access: FileAccess | undefined;

  /** To be called at each arrival: asks only if the word ends soon. */
  async start(chat: ChatClient): Promise<void> {
    if (this.#of !== chat) {
      this.stop();
      this.#of = chat;
      this.#access = chat.files((word) => this.value.set(word));
    }
    await this.#access?.start();
  }

  stop(): void {
    this.#access?.stop();
    this.#of = undefined;
    this.value.set(null);
  }
}

export const fileAccess = new PageAccess();

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
