import type { ConnectionState } from "lakh-client";
import { LoaderCircle, Wifi } from "lucide-react";
import { useEffect, useState } from "react";
import { ConnectionLost } from "../app/ConnectionLost.tsx";
import { Banner } from "../ui/Banner.tsx";
import styles from "./ConnectionBanner.module.css";
import { useChat, useSession } from "./useChat.ts";

const BACK_SHOWN_MS = 2500;

/** Says what is happening to the connection, whenever it is not simply there. */
export function ConnectionBanner() {
  const session = useSession();
  const connection = useChat((state) => state.connection);
  const back = useBackAgain(connection.status);

  switch (connection.status) {
    case "connected":
      return back ? (
        <Banner tone="info" icon={<Wifi size={18} aria-hidden />}>
          Connected again.
        </Banner>
      ) : null;
    case "connecting":
      return (
        <div className={styles.late}>
          <Banner tone="info" icon={<LoaderCircle size={18} aria-hidden className={styles.turn} />}>
            Connecting…
          </Banner>
        </div>
      );
    default:
      return (
        <ConnectionLost
          connection={connection}
          trying={
            <>
              {connection.status === "reconnecting" && lostText(connection)}{" "}
              <span className={styles.more}>What you write is kept, and sent once it is back.</span>
            </>
          }
          onReconnect={() => session.reconnect()}
        />
      );
  }
}

function lostText({ attempt }: Extract<ConnectionState, { status: "reconnecting" }>): string {
  if (!navigator.onLine) return "You are offline. Connecting again when the network is back.";
  const tries = attempt > 1 ? ` (attempt ${attempt})` : "";
  return `No connection to the server. Trying again${tries}…`;
}

/** True for a moment after a lost connection has come back. */
function useBackAgain(status: ConnectionState["status"]): boolean {
  const [seen, setSeen] = useState({ status, back: false });
  if (seen.status !== status) {
    const lost = seen.status === "reconnecting" || seen.status === "closed";
    setSeen({ status, back: status === "connected" && lost });
  }
  const { back } = seen;
  useEffect(() => {
    if (!back) return;
    const timer = setTimeout(() => setSeen({ status: "connected", back: false }), BACK_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [back]);
  return back;
}
