import { useEffect } from "react";
import { usePathname } from "wouter/use-browser-location";
import { useStore } from "../app/store.ts";
import { Modal } from "../ui/Modal.tsx";
import { signIn } from "./identity.ts";
import { wordsFor } from "./problems.ts";
import { ServerLost } from "./ServerLost.tsx";
import { askSession, session } from "./session.ts";
import { SignInChoices } from "./SignInChoices.tsx";
import { SignInForm } from "./SignInForm.tsx";

/** Asks for what this server signs people in by, over the page that needs it. */
export function SignInGate({ error }: { error: string | null }) {
  const state = useStore(session);
  const path = usePathname();

  useEffect(() => {
    // Refused with a session: it has ended, and the page is to know.
    if (error !== null) void askSession();
  }, [error]);

  if (state.kind === "asking") return null;
  if (state.kind === "lost") return <ServerLost reason={state.reason} />;
  const { info } = state;
  if (info.mode === "development") {
    return (
      <Modal
        open
        title="What shall we call you?"
        description="This server runs in development, so a name is enough to come in."
      >
        <SignInForm mode="development" error={error} onSignIn={signIn} />
      </Modal>
    );
  }
  const more = info.provider !== null || info.local;
  return (
    <Modal
      open
      title="Sign in"
      description={
        more
          ? "This server asks who you are."
          : "This server asks for a token that says who you are."
      }
    >
      <SignInChoices
        info={info}
        returnTo={path}
        problem={more ? (error ?? (state.ended ? wordsFor("ended") : null)) : null}
        tokenError={more ? null : error}
      />
    </Modal>
  );
}
