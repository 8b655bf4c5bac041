/** What a state of the connection means for the page. */
import type { ConnectionState } from "lakh-client";

/** Why one has to sign in first, if that is what is wrong. */
export function whySignIn(connection: ConnectionState): string | null {
  return connection.status === "refused" && connection.error.code === "unauthorized"
    ? `The server did not let you in: ${connection.error.message}.`
    : null;
}
