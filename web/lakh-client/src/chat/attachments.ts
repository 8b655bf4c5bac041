/** Uploads: a ticket over the socket, then the bytes over HTTP. */
import { LakhError } from "../errors.js";
import type { ChatAttachment } from "./shapes.js";

export interface UploadTicket {
  id?: string;
  url: string;
  headers?: Record<string, string>;
  expires_at: number;
}

export interface AttachmentRequests {
  "attachment:upload": {
    fields: { room: string; name: string; size: number; type: string };
    answer: UploadTicket;
  };
  /** To be appended to addresses of attachments as `?access=…`. */
  "attachment:access": { fields: object; answer: { access: string; expires_at: number } };
  "attachment:quota": { fields: object; answer: { used: number; limit: number } };
}

export interface PutOptions {
  /** From 0 to 1, as the bytes leave. */
  onProgress?: (part: number) => void;
  signal?: AbortSignal;
}

/**
 * Puts a file where its ticket says. Needs a browser: of what can send, only XMLHttpRequest tells
 * how far it has come.
 */
export function putFile(
  ticket: UploadTicket,
  file: Blob,
  { onProgress, signal }: PutOptions = {},
): Promise<ChatAttachment> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("PUT", ticket.url);
    for (const [name, value] of Object.entries(ticket.headers ?? {})) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = ({ loaded, total }) => onProgress?.(total > 0 ? loaded / total : 0);
    request.onload = () => {
      try {
        done(readAttachment(request.status, request.responseText));
      } catch (error) {
        fail(error instanceof LakhError ? error : new LakhError("bad_answer", String(error)));
      }
    };
    request.onerror = () => fail(new LakhError("disconnected", "The upload broke off."));
    request.onabort = () => fail(new LakhError("aborted", "The upload was given up."));
    signal?.addEventListener("abort", () => request.abort());
    if (signal?.aborted) request.abort();
    else request.send(file);
  });
}

/** The attachment of a good answer. Throws the server's reason for any other. */
export function readAttachment(status: number, body: string): ChatAttachment {
  const answer = parse(body) as {
    id?: unknown;
    attachment?: ChatAttachment;
    error?: { code?: string; message?: string };
  } | null;
  if (status >= 200 && status < 300 && answer) {
    if (answer.attachment) return answer.attachment;
    if (typeof answer.id === "string") return answer as unknown as ChatAttachment;
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

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
