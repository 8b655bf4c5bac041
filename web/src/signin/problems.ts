/** What went wrong with a sign-in, in words: by the codes of the server. */
const WORDS: Record<string, string> = {
  bad_credentials: "Name or password is wrong.",
  too_many_attempts: "There were too many tries.",
  sign_in_expired:
    "That sign-in took too long, was begun in another browser, or was used already. Please begin anew.",
  state_mismatch: "That answer belongs to another sign-in. Please begin anew.",
  sign_in_refused:
    "The sign-in was not confirmed. Please begin anew; if it happens again, the server’s log says why.",
  no_role:
    "You are signed in at the provider, but none of your roles may use this console. Ask whoever runs this server.",
  provider_unreachable: "The sign-in provider can’t be reached. Please try again later.",
  provider_busy: "Many people are signing in. Please try again in a moment.",
  provider_error:
    "The sign-in provider gave an answer that can’t be used. The server’s log says why.",
  not_configured: "This way of signing in is not set up on this server.",
  cross_site: "Please sign in from this server’s own page.",
  unavailable: "Sessions can’t be stored at the moment. Please try again later.",
  unreachable: "The server can’t be reached. Is it running?",
  ended: "Your session has ended. Please sign in again.",
};

export function wordsFor(code: string, retry_s: number | null = null): string {
  const words = WORDS[code] ?? "The sign-in failed.";
  return retry_s === null ? words : `${words} Try again in ${wait(retry_s)}.`;
}

function wait(seconds: number): string {
  if (seconds < 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

/** A path of this page, or the overview: the server checks its own, this is for those in our address. */
export function safeReturn(path: string | null): string {
  const own =
    path !== null &&
    /^\/(?![/\\])[!-[\]-~]*$/.test(path) &&
    !/^\/(sign-in|console|api)\b/.test(path);
  return own ? path : "/";
}
