import type { ConnectionState } from "lakh-client";
import { CircleAlert, LoaderCircle, PlugZap, Wifi, WifiOff } from "lucide-react";
import { useEffect, useState } from "react";
import { Banner } from "../ui/Banner.tsx";
import { Button } from "../ui/Button.tsx";
import styles from "./ConnectionBanner.module.css";
import { useChat, useSession } from "./useChat.ts";

const BACK_SHOWN_MS = 2500;

/** Says what is happening to the connection, whenever it is not simply there. */
export function ConnectionBanner() {
  const session = useSession();
  const connection = useChat((state) => state.connection);
  const back = useBackAgain(connection.status);
  const action = (label: string) => (
    <Button size="sm" onClick={() => session.reconnect()}>
      {label}
    </Button>
  );

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
    case "reconnecting":
      return (
        <Banner tone="warn" icon={<WifiOff size={18} aria-hidden />} action={action("Try now")}>
          {lostText(connection)}{" "}
          <span className={styles.more}>What you write is kept, and sent once it is back.</span>
        </Banner>
      );
    case "refused":
      // The sign-in dialog stands over the page and says it itself.
      if (connection.error.code === "unauthorized") return null;
      return (
        <Banner
          tone="bad"
          icon={<CircleAlert size={18} aria-hidden />}
          action={action("Try again")}
        >
          The server does not let you in: {connection.error.message}
        </Banner>
      );
    case "closed":
      return (
        <Banner tone="bad" icon={<PlugZap size={18} aria-hidden />} action={action("Connect")}>
          The server has closed the connection.
        </Banner>
      );
    case "idle":
      return null;
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
