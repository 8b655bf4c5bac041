/**
 * Who is signed in, for as long as the connection lives: a token that ends is followed by a
 * newer one, and each connection is made with the newest.
 */
import type { Socket } from "socket.io-client";
import { readAnswer } from "./answer.js";

/**
 * What signs a person in: a token; a name, where the server runs in development; or, on the server's own page, the
 * session whose cookie the browser sends by itself.
 */
export type Auth = { token: string } | { name: string } | { session: true };

/** `auth:expiring`: the sign-in ends soon. Both in milliseconds; `expires_at` since 1970. */
export interface Expiring {
  expires_at: number;
  in_ms: number;
}

export interface SignInOptions {
  auth: Auth | (() => Auth | Promise<Auth>);
  refreshToken?: (expiring?: Expiring) => string | Promise<string>;
  onRefreshError?: (error: unknown) => void;
  timeoutMs: number;
}

/** Shortest wait between two attempts to renew, in milliseconds. */
const AGAIN_MS = 1000;

export class SignIn {
  readonly #options: SignInOptions;
  #newest: { token: string; endsAt: number } | undefined;
  #renewing = false;

  constructor(options: SignInOptions) {
    this.#options = options;
  }

  /** What the next connection is made with. */
  async credentials(): Promise<Auth> {
    const { auth, refreshToken } = this.#options;
    if (this.#newest) {
      if (this.#newest.endsAt > Date.now()) return { token: this.#newest.token };
      // It has ended, and what came before it has all the more.
      this.#newest = undefined;
      if (refreshToken) return { token: this.#keep(await refreshToken()) };
    }
    // The cast: TypeScript can't rule out that a `{token}` is callable as well.
    return typeof auth === "function" ? (auth as () => Auth | Promise<Auth>)() : auth;
  }

  /** Renews the sign-in when this socket is told that it ends. */
  follow(socket: Socket): void {
    socket.on("auth:expiring", (expiring: Expiring) => void this.#renew(socket, expiring));
    socket.on("auth:expired", () => {
      // Whatever it was that ended: if there is a way to a new one, it's taken at the next connect.
      if (this.#newest) this.#newest.endsAt = 0;
      else if (this.#options.refreshToken) this.#newest = { token: "", endsAt: 0 };
    });
  }

  async #renew(socket: Socket, expiring: Expiring): Promise<void> {
    const { refreshToken, timeoutMs, onRefreshError } = this.#options;
    // Each namespace is told, and one refresh counts for all of the connection.
    if (!refreshToken || this.#renewing) return;
    this.#renewing = true;
    const endsAt = Date.now() + expiring.in_ms;
    try {
      while (socket.connected) {
        try {
          const token = await refreshToken(expiring);
          const answer: unknown = await socket
            .timeout(timeoutMs)
            .emitWithAck("auth:refresh", { token });
          const { expires_at: until } = readAnswer("auth:refresh", answer) as {
            expires_at?: number | null;
          };
          this.#newest = { token, endsAt: until ?? Infinity };
          return;
        } catch (error) {
          onRefreshError?.(error);
        }
        const left = endsAt - Date.now();
        if (left <= AGAIN_MS) return;
        await new Promise((done) => setTimeout(done, Math.max(AGAIN_MS, left / 10)));
      }
    } finally {
      this.#renewing = false;
    }
  }

  /** The server says when it ends; until then it counts as good. */
  #keep(token: string): string {
    this.#newest = { token, endsAt: Infinity };
    return token;
  }
}
