/**
 * Who the person is. In development a name, kept for the next visit; in production a session of
 * the page, which the browser keeps out of our sight, or a token, kept until the tab is closed and
 * nowhere else.
 */
import type { Auth, User } from "lakh-client";
import { localShelf, sessionShelf } from "../app/storage.ts";
import { Store } from "../app/store.ts";

const NAME_KEY = "lakh.name";
const TOKEN_KEY = "lakh.token";

/** The server says who a session belongs to. */
export type Identity = { name: string } | { token: string } | { session: User };

export const identity = new Store<Identity | null>(remembered());

export function signIn(auth: { name: string } | { token: string }): void {
  if ("token" in auth) sessionShelf.write(TOKEN_KEY, auth.token);
  else localShelf.write(NAME_KEY, auth.name);
  identity.set(auth);
}

export function signOut(): void {
  sessionShelf.write(TOKEN_KEY, null);
  localShelf.write(NAME_KEY, null);
  identity.set(null);
}

/** What the server says of the page's session; a token that was given in this tab counts before it. */
export function setSession(person: User | null): void {
  const auth = identity.get();
  if (auth && "token" in auth) return;
  const now = auth && "session" in auth ? auth.session : null;
  if (person === null) {
    if (now) identity.set(null);
  } else if (now?.id !== person.id || now.name !== person.name) {
    identity.set({ session: person });
  }
}

export function bearer(auth: Identity | null): string | null {
  return auth && "token" in auth ? auth.token : null;
}

/** What a connection says of the person. The cookie of a session goes along by itself. */
export function authOf(auth: Identity): Auth {
  return "session" in auth ? { session: true } : auth;
}

/**
 * The person as the server will name them. For a token this reads its claims without checking
 * them, which is the server's part; what the server then says of the person wins.
 */
export function personOf(auth: Identity): User {
  if ("session" in auth) return auth.session;
  if ("name" in auth) return { id: `dev:${auth.name.toLowerCase()}`, name: auth.name };
  const claims = readClaims(auth.token);
  const id = typeof claims.sub === "string" ? claims.sub : "";
  return { id, name: typeof claims.name === "string" ? claims.name : id || "You" };
}

function readClaims(token: string): Record<string, unknown> {
  try {
    const body = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null ? { ...claims } : {};
  } catch {
    return {};
  }
}

function remembered(): Identity | null {
  const token = sessionShelf.read(TOKEN_KEY);
  if (token) return { token };
  const name = localShelf.read(NAME_KEY);
  return name ? { name } : null;
}
