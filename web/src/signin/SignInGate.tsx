import { RefreshCw, WifiOff } from "lucide-react";
import { useEffect, useState } from "react";
import { fetchStats, type Mode } from "../api/client.ts";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import { Modal } from "../ui/Modal.tsx";
import { signIn } from "./identity.ts";
import { SignInForm } from "./SignInForm.tsx";

type Asked = { kind: "asking" } | { kind: "mode"; mode: Mode } | { kind: "lost"; reason: string };

/** Finds out how this server signs people in, and asks for that. */
export function SignInGate({ error }: { error: string | null }) {
  const [asked, setAsked] = useState<Asked>({ kind: "asking" });
  const [tries, setTries] = useState(0);

  useEffect(() => {
    let gone = false;
    void askMode().then((answer) => {
      if (!gone) setAsked(answer);
    });
    return () => {
      gone = true;
    };
  }, [tries]);

  if (asked.kind === "asking") return null;
  if (asked.kind === "lost") {
    return (
      <Empty
        icon={<WifiOff size={26} aria-hidden />}
        title="The server can’t be reached"
        action={
          <Button onClick={() => setTries(tries + 1)}>
            <RefreshCw size={16} aria-hidden /> Try again
          </Button>
        }
      >
        The page asked {window.location.host}, and {asked.reason}. Is it running?
      </Empty>
    );
  }
  const byName = asked.mode === "development";
  return (
    <Modal
      open
      title={byName ? "What shall we call you?" : "Sign in"}
      description={
        byName
          ? "This server runs in development, so a name is enough to come in."
          : "This server asks for a token that says who you are."
      }
    >
      <SignInForm mode={asked.mode} error={error} onSignIn={signIn} />
    </Modal>
  );
}

async function askMode(): Promise<Asked> {
  const answer = await fetchStats(null);
  switch (answer.kind) {
    case "ok":
      return { kind: "mode", mode: answer.stats.mode };
    case "unauthorized":
    case "forbidden":
      return { kind: "mode", mode: "production" };
    case "unreachable":
      return { kind: "lost", reason: answer.reason };
  }
}
