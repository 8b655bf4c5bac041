import { useState, type SubmitEvent } from "react";
import type { Mode } from "../api/client.ts";
import { Button } from "../ui/Button.tsx";
import { Field } from "../ui/Field.tsx";
import styles from "./SignInForm.module.css";

interface SignInFormProps {
  mode: Mode;
  /** Whether there are other ways beside it, which come first. */
  second?: boolean;
  /** Why the last try was refused. */
  error?: string | null;
  onSignIn: (auth: { name: string } | { token: string }) => void;
}

const MAX_NAME = 40;

/** A name in development, a token in production. */
export function SignInForm({ mode, second = false, error, onSignIn }: SignInFormProps) {
  const [text, setText] = useState("");
  const [missing, setMissing] = useState(false);
  const byName = mode === "development";

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const value = text.trim();
    setMissing(!value);
    if (value) onSignIn(byName ? { name: value } : { token: value });
  };

  const need = byName ? "A name is needed." : "A token is needed.";
  return (
    <form className={styles.form} onSubmit={submit} noValidate>
      {byName ? (
        <Field
          label="Your name"
          value={text}
          maxLength={MAX_NAME}
          autoComplete="nickname"
          placeholder="Ada"
          error={missing ? need : error}
          hint="Others see it beside you and what you write. It is kept in this browser."
          onChange={(event) => setText(event.target.value)}
        />
      ) : (
        <Field
          label="Token"
          type="password"
          value={text}
          autoComplete="off"
          spellCheck={false}
          error={missing ? need : error}
          hint={
            <>
              Make one with <code>lakh token</code>. It is kept until this tab is closed.
            </>
          }
          onChange={(event) => setText(event.target.value)}
        />
      )}
      <Button type="submit" look={second ? "soft" : "solid"}>
        {byName ? "Come in" : second ? "Sign in with a token" : "Sign in"}
      </Button>
    </form>
  );
}
