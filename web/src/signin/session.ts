/**
 * The session of the page: a cookie that the server made and scripts can't read. What is known of
 * it here comes from the server, which is asked now and then while somebody looks, so that a
 * session in use lasts and one that has ended is seen to be.
 */
import {
  fetchSession,
  postSignIn,
  postSignOut,
  type Done,
  type SessionInfo,
} from "../api/session.ts";
import { Store } from "../app/store.ts";
import { identity, setSession, signOut as forget } from "./identity.ts";

export type SessionState =
  | { kind: "asking" }
  | { kind: "lost"; reason: string }
  | { kind: "known"; info: SessionInfo; at_ms: number; ends_ms: number | null; ended: boolean };

export const session = new Store<SessionState>({ kind: "asking" });

const OFTEN_MS = 60_000;
const SELDOM_MS = 2_000;
/** An end that moves by less has not moved. */
const STEADY_MS = 5_000;

let timer: ReturnType<typeof setTimeout> | undefined;
let turn = 0;
let watched = false;

/** Asks now, and goes on while the page is looked at. */
export async function askSession(): Promise<void> {
  turn += 1;
  const mine = turn;
  clearTimeout(timer);
  const answer = await fetchSession();
  if (mine !== turn) return;
  if (answer.kind === "unreachable") {
    // Whoever was signed in still is, as far as anybody knows.
    if (session.get().kind !== "known") session.set({ kind: "lost", reason: answer.reason });
    plan(OFTEN_MS);
    return;
  }
  take(answer.info);
}

function take(info: SessionInfo): void {
  const { person } = info;
  const auth = identity.get();
  const had = auth !== null && "session" in auth;
  const before = session.get();
  const at_ms = Date.now();
  // The two clocks may differ; how long it is until then does not, but for the time of the answer.
  const ends_ms = person && steady(before, at_ms + (person.ends_at - person.now));
  const ended = person === null && (had || (before.kind === "known" && before.ended));
  session.set({ kind: "known", info, at_ms, ends_ms, ended });
  setSession(person && { id: person.id, name: person.name });
  if (person) {
    const rest = Math.min(person.ends_at, person.idle_ends_at) - person.now;
    plan(Math.min(OFTEN_MS, Math.max(SELDOM_MS, rest / 3)));
  }
}

function steady(before: SessionState, ends_ms: number): number {
  const known = before.kind === "known" ? before.ends_ms : null;
  return known !== null && Math.abs(known - ends_ms) < STEADY_MS ? known : ends_ms;
}

function plan(in_ms: number): void {
  clearTimeout(timer);
  if (watched && document.visibilityState === "visible") {
    timer = setTimeout(() => void askSession(), in_ms);
  }
}

/** Keeps what is known of the session true, for as long as the page lives. */
export function watchSession(): () => void {
  const look = () => {
    if (document.visibilityState === "visible") void askSession();
  };
  watched = true;
  document.addEventListener("visibilitychange", look);
  void askSession();
  return () => {
    watched = false;
    turn += 1;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

export async function signInWithPassword(user: string, password: string): Promise<Done<null>> {
  const done = await postSignIn(user, password);
  if (done.ok) await askSession();
  return done;
}

/** Ends the session here, and leads to the provider's own sign-out where it has one. */
export async function signOut(): Promise<void> {
  const auth = identity.get();
  if (!auth || !("session" in auth)) {
    forget();
    return;
  }
  const done = await postSignOut();
  if (!done.ok) {
    // It may still be there: say what the server says of it.
    await askSession();
    return;
  }
  forget();
  if (done.value !== null) window.location.assign(done.value);
  else await askSession();
}

/** The address that leads to the provider, and back to where one is. */
export function providerAddress(return_to: string): string {
  return `/console/sign-in?${new URLSearchParams({ return_to }).toString()}`;
}
