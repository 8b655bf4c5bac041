/** Files on their way to a message: each with its progress, and a way to give it up. They stay when one looks elsewhere. */
import { LakhError, type ChatAttachment, type ChatClient } from "lakh-client";
import type { Notices } from "../app/notices.ts";
import { Store } from "../app/store.ts";
import { readable } from "../ui/format.ts";

export interface Upload {
  readonly id: number;
  readonly file: File;
  /** From 0 to 1. */
  readonly progress: number;
  readonly done: ChatAttachment | null;
  readonly error: string | null;
}

/** As many as a message may carry. */
export const MOST_FILES = 10;

/** Those of what is being written in a room or in a thread. */
export class Attaching {
  readonly list = new Store<readonly Upload[]>([]);
  readonly #chat: ChatClient;
  readonly #notices: Notices;
  readonly #room: string;
  readonly #stops = new Map<number, AbortController>();
  #lastId = 0;

  constructor(chat: ChatClient, notices: Notices, room: string) {
    this.#chat = chat;
    this.#notices = notices;
    this.#room = room;
  }

  add(files: readonly File[]): void {
    const left = MOST_FILES - this.#stops.size;
    if (files.length > left) {
      this.#notices.say(`A message carries ${MOST_FILES} files at most`, true);
    }
    for (const file of files.slice(0, left)) this.#start(file);
  }

  remove(id: number): void {
    this.#stops.get(id)?.abort();
    this.#stops.delete(id);
    this.list.update((old) => old.filter((one) => one.id !== id));
  }

  /** They go with a message. */
  clear(): void {
    this.#stops.clear();
    this.list.set([]);
  }

  stop(): void {
    for (const stop of this.#stops.values()) stop.abort();
    this.clear();
  }

  #start(file: File): void {
    this.#lastId += 1;
    const id = this.#lastId;
    const stop = new AbortController();
    this.#stops.set(id, stop);
    this.list.update((old) => [...old, { id, file, progress: 0, done: null, error: null }]);
    this.#chat
      .upload(this.#room, file, {
        signal: stop.signal,
        onProgress: (progress) => this.#change(id, { progress }),
      })
      .then((done) => this.#change(id, { done, progress: 1 }))
      .catch((error: unknown) => {
        if (!(error instanceof LakhError)) throw error;
        this.#change(id, { error: inWords(error, file) });
      });
  }

  #change(id: number, set: Partial<Upload>): void {
    this.list.update((old) => old.map((one) => (one.id === id ? { ...one, ...set } : one)));
  }
}

/** Why a file was not taken, for people. */
function inWords({ code, message }: LakhError, { size }: File): string {
  if (size === 0) return "The file is empty";
  if (code === "unsupported_type") return "Files of this kind can’t be sent here";
  return readable(message);
}
