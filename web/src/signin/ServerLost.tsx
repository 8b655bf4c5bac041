import { RefreshCw, WifiOff } from "lucide-react";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import { askSession } from "./session.ts";

/** Stands where one would sign in, while the server does not answer. */
export function ServerLost({ reason }: { reason: string }) {
  return (
    <Empty
      icon={<WifiOff size={26} aria-hidden />}
      title="The server can’t be reached"
      action={
        <Button onClick={() => void askSession()}>
          <RefreshCw size={16} aria-hidden /> Try again
        </Button>
      }
    >
      The page asked {window.location.host}, and {reason}. Is it running?
    </Empty>
  );
}
