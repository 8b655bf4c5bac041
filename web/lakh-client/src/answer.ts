/**
 * The shape of every acknowledgement: `{ok: true, …fields}` or
 * `{ok: false, error: {code, message, current?}}`.
 */
import { LakhError } from "./errors.js";

/** The fields of a good answer, without `ok`. Throws a `LakhError` for anything else. */
export function readAnswer(event: string, answer: unknown): object {
  if (isRecord(answer)) {
    if (answer.ok === true) {
      const { ok: _ok, ...fields } = answer;
      return fields;
    }
    if (answer.ok === false && isRecord(answer.error)) {
      const { code, message, current } = answer.error;
      throw new LakhError(
        typeof code === "string" ? code : "internal",
        typeof message === "string" ? message : `The server refused ${event}.`,
        { current },
      );
    }
  }
  throw new LakhError(
    "bad_answer",
    `The answer to ${event} is not a Lakh answer: is this namespace served by that module?`,
  );
}

/** A CONNECT_ERROR packet carries its code in `data`, as in `{code: "unauthorized"}`. */
export function readRefusal(error: Error & { data?: unknown }): LakhError {
  const code = isRecord(error.data) && typeof error.data.code === "string" ? error.data.code : null;
  return new LakhError(code ?? "refused", error.message, { cause: error });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
