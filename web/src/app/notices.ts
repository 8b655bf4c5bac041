/** A word on what was done, or why it was not, for people to read. It goes by itself. */
import { LakhError } from "lakh-client";
import { readable } from "../ui/format.ts";
import { Store } from "./store.ts";

export interface Notice {
  readonly text: string;
  readonly bad: boolean;
}

const SHOWN_MS = 5000;

export class Notices extends Store<Notice | null> {
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super(null);
  }

  say(text: string, bad = false): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.quiet(), SHOWN_MS);
    this.set({ text, bad });
  }

  quiet(): void {
    clearTimeout(this.#timer);
    this.set(null);
  }

  /** Does what may be refused, and says why it was, in the server's words. */
  async attempt(act: () => Promise<unknown>, done?: string): Promise<boolean> {
    try {
      await act();
      if (done) this.say(done);
      return true;
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      this.say(readable(error.message), true);
      return false;
    }
  }
}
