/** The server's HTTP API. Types come from its OpenAPI page. */
import type { components } from "./schema.ts";

/** How people sign in: with a name alone, or with a token. */
export type Mode = "development" | "production";

export interface Stats extends Omit<components["schemas"]["Stats"], "mode"> {
  mode: Mode;
}

export type StatsAnswer =
  | { kind: "ok"; stats: Stats }
  /** No token, or one that the server does not take. */
  | { kind: "unauthorized" }
  /** A good token of somebody who may not see this. */
  | { kind: "forbidden" }
  | { kind: "unreachable"; reason: string };

const TIMEOUT_MS = 5000;

export async function fetchStats(token: string | null): Promise<StatsAnswer> {
  try {
    const response = await fetch("/api/v1/stats", {
      headers: token ? { authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.timeout(TIMEOUT_MS),
      cache: "no-store",
    });
    if (response.status === 401) return { kind: "unauthorized" };
    if (response.status === 403) return { kind: "forbidden" };
    if (!response.ok) return { kind: "unreachable", reason: `it answers ${response.status}` };
    const stats = (await response.json()) as components["schemas"]["Stats"];
    // A mode of a later server, unknown here, will not be one that takes just a name.
    const mode = stats.mode === "development" ? "development" : "production";
    return { kind: "ok", stats: { ...stats, mode } };
  } catch (error) {
    const slow = error instanceof DOMException && error.name === "TimeoutError";
    return { kind: "unreachable", reason: slow ? "it does not answer" : "no connection" };
  }
}
