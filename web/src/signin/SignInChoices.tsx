import { CircleAlert, LogIn } from "lucide-react";
import { useId, useRef, useState, type SubmitEvent } from "react";
import type { SessionInfo } from "../api/session.ts";
import { Button, ButtonLink } from "../ui/Button.tsx";
import { Field } from "../ui/Field.tsx";
import { signIn } from "./identity.ts";
import { wordsFor } from "./problems.ts";
import { providerAddress, signInWithPassword } from "./session.ts";
import styles from "./SignInChoices.module.css";
import { SignInForm } from "./SignInForm.tsx";

interface SignInChoicesProps {
  info: SessionInfo;
  /** The path to come back to. */
  returnTo: string;
  /** Why one has to sign in again, or why the last try failed. */
  problem?: string | null;
  /** Why a token was refused. */
  tokenError?: string | null;
  onDone?: () => void;
}

/** All the ways to sign in that this server offers: its provider first, a token last. */
export function SignInChoices(props: SignInChoicesProps) {
  const { info, returnTo, problem, tokenError = null, onDone } = props;
  const more = info.provider !== null || info.local;
  const token = (
    <SignInForm
      mode="production"
      second={more}
      error={tokenError}
      onSignIn={(auth) => {
        signIn(auth);
        onDone?.();
      }}
    />
  );
  return (
    <div className={styles.choices}>
      {problem && (
        <p className={styles.problem} role="alert">
          <CircleAlert size={18} aria-hidden />
          <span>{problem}</span>
        </p>
      )}
      {info.provider !== null && (
        <ButtonLink look="solid" href={providerAddress(returnTo)} className={styles.wide}>
          <LogIn size={18} aria-hidden /> Sign in with {info.provider}
        </ButtonLink>
      )}
      {info.provider !== null && info.local && <p className={styles.or}>or</p>}
      {info.local && <PasswordForm first={info.provider === null} onDone={onDone} />}
      {more ? (
        <details className={styles.token} open={tokenError !== null}>
          <summary>Use a token instead</summary>
          {token}
        </details>
      ) : (
        token
      )}
    </div>
  );
}

interface PasswordFormProps {
  first: boolean;
  onDone: (() => void) | undefined;
}

function PasswordForm({ first, onDone }: PasswordFormProps) {
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [missing, setMissing] = useState<"user" | "password" | null>(null);
  const [busy, setBusy] = useState(false);
  const errorId = useId();
  const field = useRef<HTMLInputElement>(null);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (busy) return;
    const lacks = user.trim() === "" ? "user" : password === "" ? "password" : null;
    setMissing(lacks);
    setError(null);
    if (lacks) return;
    setBusy(true);
    void signInWithPassword(user.trim(), password).then((done) => {
      setBusy(false);
      if (done.ok) {
        onDone?.();
        return;
      }
      // Ready for the next try, without a look for the field.
      setPassword("");
      field.current?.focus();
      setError(wordsFor(done.code, done.retry_s));
    });
  };

  return (
    <form
      className={styles.form}
      onSubmit={submit}
      noValidate
      aria-describedby={error ? errorId : undefined}
    >
      <Field
        label="Name"
        value={user}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        error={missing === "user" ? "A name is needed." : null}
        onChange={(event) => setUser(event.target.value)}
      />
      <Field
        ref={field}
        label="Password"
        type="password"
        value={password}
        autoComplete="current-password"
        error={missing === "password" ? "A password is needed." : null}
        onChange={(event) => setPassword(event.target.value)}
      />
      {error && (
        <p id={errorId} className={styles.problem} role="alert">
          <CircleAlert size={18} aria-hidden />
          <span>{error}</span>
        </p>
      )}
      <Button type="submit" look={first ? "solid" : "soft"} aria-disabled={busy}>
        {busy ? "Signing in…" : "Sign in with a password"}
      </Button>
    </form>
  );
}
