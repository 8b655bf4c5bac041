import type { ConnectionState } from "lakh-client";
import { CircleAlert, PlugZap, WifiOff } from "lucide-react";
import type { ReactNode } from "react";
import { Banner } from "../ui/Banner.tsx";
import { Button } from "../ui/Button.tsx";
import { whySignIn } from "./connection.ts";

interface ConnectionLostProps {
  connection: ConnectionState;
  /** What is said while it is tried again. */
  trying: ReactNode;
  onReconnect: () => void;
}

/** Says why there is no connection any more, with a way to have one again. */
export function ConnectionLost({ connection, trying, onReconnect }: ConnectionLostProps) {
  const action = (label: string) => (
    <Button size="sm" onClick={onReconnect}>
      {label}
    </Button>
  );
  switch (connection.status) {
    case "reconnecting":
      return (
        <Banner tone="warn" icon={<WifiOff size={18} aria-hidden />} action={action("Try now")}>
          {trying}
        </Banner>
      );
    case "refused":
      // The sign-in dialog stands over the page and says it itself.
      if (whySignIn(connection) !== null) return null;
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
    case "connecting":
    case "connected":
      return null;
  }
}
