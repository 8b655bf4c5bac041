/**
 * The one error that requests reject with. `code` is for programs, `message` for people.
 * Codes of the server come from the modules' protocols; three are made here: `timeout`,
 * `disconnected` and `bad_answer`.
 */

export type ErrorCode =
  | "bad_request"
  | "unauthorized"
  | "forbidden"
  | "not_member"
  | "not_found"
  | "too_large"
  | "rate_limited"
  | "too_many_connections"
  | "too_many_rooms"
  | "unavailable"
  | "internal"
  | "timeout"
  | "disconnected"
  | "bad_answer"
  // Modules may add codes of their own; the known ones stay visible to editors.
  | (string & {});

export class LakhError extends Error {
  readonly code: ErrorCode;
  /** What is there instead of what was expected, where a `conflict` or `locked` says it. */
  readonly current: unknown;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { current?: unknown }) {
    super(message, options);
    this.name = "LakhError";
    this.code = code;
    this.current = options?.current;
  }

  /** Whether sending the same request again may succeed without the caller changing it. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}

const RETRYABLE: ReadonlySet<string> = new Set([
  "timeout",
  "disconnected",
  "rate_limited",
  "unavailable",
  "internal",
]);
