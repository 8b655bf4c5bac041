/** Who is signed in at the page, and how one may sign in. The cookie itself is not for scripts to see. */
import type { Mode } from "./client.ts";
import type { components } from "./schema.ts";

export type SessionPerson = components["schemas"]["SessionPerson"];

export interface SessionInfo {
  mode: Mode;
  person: SessionPerson | null;
  /** What the provider is called, where people sign in at one. */
  provider: string | null;
  /** Whether a local admin may sign in with a password. */
  local: boolean;
}

export type SessionAnswer =
  { kind: "ok"; info: SessionInfo } | { kind: "unreachable"; reason: string };

/** `code` is the server's, or "unreachable". */
export type Done<T> = { ok: true; value: T } | { ok: false; code: string; retry_s: number | null };

const PATH = "/api/v1/session";
const TIMEOUT_MS = 5000;
// A password's hash takes its time, and may have to wait for others.
const SIGN_IN_TIMEOUT_MS = 20_000;

export async function fetchSession(): Promise<SessionAnswer> {
  try {
    const response = await fetch(PATH, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      cache: "no-store",
    });
    if (!response.ok) return { kind: "unreachable", reason: `it answers ${response.status}` };
    const body = (await response.json()) as components["schemas"]["Session"];
    const mode = body.mode === "development" ? "development" : "production";
    const { person = null, provider = null, local } = body;
    return { kind: "ok", info: { mode, person, provider, local } };
  } catch (error) {
    const slow = error instanceof DOMException && error.name === "TimeoutError";
    return { kind: "unreachable", reason: slow ? "it does not answer" : "no connection" };
  }
}

export function postSignIn(user: string, password: string): Promise<Done<null>> {
  return post(PATH, { user, password }, () => null);
}

/** Resolves to where to go for the provider's own sign-out, if it has one. */
export function postSignOut(): Promise<Done<string | null>> {
  return post(`${PATH}/end`, null, (body) => {
    const { redirect = null } = body as components["schemas"]["Ended"];
    return redirect;
  });
}

async function post<T>(path: string, body: unknown, read: (body: unknown) => T): Promise<Done<T>> {
  try {
    const response = await fetch(path, {
      method: "POST",
      ...(body === null
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      signal: AbortSignal.timeout(SIGN_IN_TIMEOUT_MS),
      cache: "no-store",
    });
    const answer: unknown = response.status === 204 ? null : await response.json();
    if (response.ok) return { ok: true, value: read(answer) };
    const { error } = answer as components["schemas"]["ErrorBody"];
    const wait = Number(response.headers.get("retry-after"));
    return { ok: false, code: error.code, retry_s: wait > 0 ? wait : null };
  } catch {
    return { ok: false, code: "unreachable", retry_s: null };
  }
}
