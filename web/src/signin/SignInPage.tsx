import { useEffect, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { Page } from "../app/Page.tsx";
import { useStore } from "../app/store.ts";
import { Logo } from "../ui/Logo.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { identity } from "./identity.ts";
import { safeReturn, wordsFor } from "./problems.ts";
import { ServerLost } from "./ServerLost.tsx";
import { session } from "./session.ts";
import { SignInChoices } from "./SignInChoices.tsx";
import styles from "./SignInPage.module.css";

/** The page `/sign-in`: where the server leads those whose sign-in failed, and where a sign-out ends. */
export default function SignInPage() {
  const [, go] = useLocation();
  const search = useSearch();
  const asked = useMemo(() => new URLSearchParams(search), [search]);
  const returnTo = safeReturn(asked.get("return_to"));
  const problem = asked.get("problem");
  const auth = useStore(identity);
  const state = useStore(session);
  const again = asked.has("again");
  const known = state.kind === "known" ? state.info : null;
  const inside = known !== null && (auth !== null || known.mode === "development");

  useEffect(() => {
    if (inside && problem === null && !again) go(returnTo, { replace: true });
  }, [inside, problem, again, returnTo, go]);

  const done = () => go(returnTo, { replace: true });
  return (
    <Page title="Sign in" hideTitle>
      <SignInView
        returnTo={returnTo}
        problem={problem === null ? null : wordsFor(problem)}
        onDone={done}
      />
    </Page>
  );
}

interface SignInViewProps {
  returnTo: string;
  problem?: string | null;
  tokenError?: string | null;
  onDone?: () => void;
}

/** The ways to sign in, on a card. */
export function SignInView({ returnTo, problem = null, tokenError, onDone }: SignInViewProps) {
  const state = useStore(session);
  if (state.kind === "asking") return <Spinner label="Asking the server…" />;
  if (state.kind === "lost") return <ServerLost reason={state.reason} />;
  const ended = state.ended ? wordsFor("ended") : null;
  return (
    <div className={styles.frame}>
      <section className={styles.card} aria-labelledby="sign-in-title">
        <Logo />
        <h2 id="sign-in-title" className={styles.title}>
          Sign in to Lakh
        </h2>
        <p className={styles.text}>{window.location.host}</p>
        <SignInChoices
          info={state.info}
          returnTo={returnTo}
          problem={problem ?? ended}
          {...(tokenError === undefined ? {} : { tokenError })}
          {...(onDone ? { onDone } : {})}
        />
      </section>
    </div>
  );
}
