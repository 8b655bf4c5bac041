/** Files: a ticket over the socket, the bytes over HTTP, and the word by which they are fetched. */
import { LakhError } from "../errors.js";
import type { ChatAttachment } from "./shapes.js";

export interface UploadTicket {
  id: string;
  /** A path of the server that nobody else knows. */
  url: string;
  method: "PUT" | (string & {});
  /** By then the bytes have to be there. Milliseconds since 1970. */
  expires_at: number;
}

export interface FileQuota {
  /** What one keeps, with what is on its way. */
  files: number;
  bytes: number;
  max_bytes: number;
  max_file_bytes: number;
  /** What is taken, such as `image/*`. */
  types: string[];
}

export interface AccessWord {
  access: string;
  expires_at: number;
}

export interface AttachmentRequests {
  "attachment:upload": {
    fields: { room: string; name: string; size: number; type: string };
    answer: UploadTicket;
  };
  /** To be appended to addresses of attachments as `?access=…`. */
  "attachment:access": { fields: object; answer: AccessWord };
  "attachment:quota": { fields: object; answer: FileQuota };
}

export interface PutOptions {
  /** From 0 to 1, as the bytes leave. Without a browser only the end is told. */
  onProgress?: (part: number) => void;
  signal?: AbortSignal;
}

/** Files that say nothing of what they are go as bytes. */
export const ANY_TYPE = "application/octet-stream";

/** Puts a file at an address. Of what can send, only a browser's XMLHttpRequest tells how far it is. */
export function putFile(
  address: string,
  file: Blob,
  options: PutOptions = {},
): Promise<ChatAttachment> {
  return typeof XMLHttpRequest === "undefined"
    ? fetchFile(address, file, options)
    : sendFile(address, file, options);
}

const broken = () => new LakhError("disconnected", "The upload broke off.");
const givenUp = () => new LakhError("aborted", "The upload was given up.");

async function fetchFile(
  address: string,
  file: Blob,
  { onProgress, signal }: PutOptions,
): Promise<ChatAttachment> {
  let answer: Response;
  let body: string;
  try {
    answer = await fetch(address, { method: "PUT", body: file, ...(signal ? { signal } : {}) });
    body = await answer.text();
  } catch {
    throw signal?.aborted ? givenUp() : broken();
  }
  const attachment = readAttachment(answer.status, body);
  onProgress?.(1);
  return attachment;
}

function sendFile(
  address: string,
  file: Blob,
  { onProgress, signal }: PutOptions,
): Promise<ChatAttachment> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("PUT", address);
    request.upload.onprogress = ({ loaded, total }) => onProgress?.(total > 0 ? loaded / total : 0);
    request.onload = () => {
      try {
        done(readAttachment(request.status, request.responseText));
      } catch (error) {
        fail(error instanceof LakhError ? error : new LakhError("bad_answer", String(error)));
      }
    };
    request.onerror = () => fail(broken());
    request.onabort = () => fail(givenUp());
    signal?.addEventListener("abort", () => request.abort());
    if (signal?.aborted) fail(givenUp());
    else request.send(file);
  });
}

/** The attachment of a good answer. Throws the server's reason for any other. */
export function readAttachment(status: number, body: string): ChatAttachment {
  const answer = parse(body) as {
    id?: unknown;
    error?: { code?: string; message?: string };
  } | null;
  if (status >= 200 && status < 300 && typeof answer?.id === "string") {
    return answer as unknown as ChatAttachment;
  }
  const { code = "bad_answer", message = `The upload was answered with ${status}.` } =
    answer?.error ?? {};
  throw new LakhError(code, message);
}

/** The address with the right to fetch it. */
export function withAccess(url: string, access: string | null): string {
  if (access === null) return url;
  return `${url}${url.includes("?") ? "&" : "?"}access=${encodeURIComponent(access)}`;
}

/** Asked for again this long before it ends, and no sooner after a failure. */
const EARLY_MS = 60_000;
/** Longer than this a timer goes off at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** The word by which one's files are fetched, kept fresh. Made by `chat.files()`. */
export class FileAccess {
  readonly #ask: () => Promise<AccessWord>;
  readonly #onChange: (word: string) => void;
  #word: string | null = null;
  #endsAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ask: () => Promise<AccessWord>, onChange: (word: string) => void = () => undefined) {
    this.#ask = ask;
    this.#onChange = onChange;
  }

  /** Null until the server has given one. */
  get word(): string | null {
    return this.#word;
  }

  /** Sees to it that there is a word for a while: to be called at each arrival. */
  async start(): Promise<void> {
    if (this.#endsAt - Date.now() > EARLY_MS) return;
    clearTimeout(this.#timer);
    try {
      const { access, expires_at } = await this.#ask();
      this.#endsAt = expires_at;
      if (access !== this.#word) {
        this.#word = access;
        this.#onChange(access);
      }
      this.#wait(Math.max(EARLY_MS, expires_at - Date.now() - EARLY_MS));
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      // A server that takes no files says so, and will go on saying so.
      if (error.retryable) this.#wait(EARLY_MS);
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#endsAt = 0;
        void this.start();
      },
      Math.min(ms, LONGEST_MS),
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
