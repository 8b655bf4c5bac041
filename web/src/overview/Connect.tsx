import * as Tabs from "@radix-ui/react-tabs";
import { CircleCheck } from "lucide-react";
import { Link } from "wouter";
import type { Mode } from "../api/client.ts";
import { socketPath } from "../app/server.ts";
import { Card } from "../ui/Card.tsx";
import { CopyButton } from "../ui/CopyButton.tsx";
import styles from "./Connect.module.css";
import { snippets } from "./snippets.ts";

interface ConnectProps {
  mode: Mode;
  /** Nobody was connected when the page was opened: this is what it has to say. */
  first: boolean;
  /** How many are connected now. */
  total: number;
}

/** How to connect, to be copied. Open while nobody is here, folded afterwards. */
export function Connect({ mode, first, total }: ConnectProps) {
  if (!first) {
    return (
      <details className={styles.folded}>
        <summary>Connect a client</summary>
        <Snippets mode={mode} />
      </details>
    );
  }
  return (
    <Card title="Connect your first client" className={styles.first}>
      <p className={styles.text} role="status">
        {total === 0 ? (
          <>
            Nobody is connected yet. Any Socket.IO client will do: start one of these, in two
            terminals for a conversation, or <Link href="/chat">open the chat</Link>.
          </>
        ) : (
          <span className={styles.done}>
            <CircleCheck size={18} aria-hidden />
            {total === 1 ? "A client is connected." : `${total} clients are connected.`}
          </span>
        )}
      </p>
      <Snippets mode={mode} />
    </Card>
  );
}

function Snippets({ mode }: { mode: Mode }) {
  const all = snippets(window.location.origin, mode, socketPath);
  return (
    <Tabs.Root defaultValue={all[0]?.id ?? ""} className={styles.tabs}>
      <Tabs.List className={styles.list} aria-label="Language">
        {all.map(({ id, name }) => (
          <Tabs.Trigger key={id} value={id} className={styles.tab}>
            {name}
          </Tabs.Trigger>
        ))}
      </Tabs.List>
      {all.map(({ id, install, code }) => (
        <Tabs.Content key={id} value={id} className={styles.content}>
          <Code text={install} />
          <Code text={code} />
        </Tabs.Content>
      ))}
    </Tabs.Root>
  );
}

function Code({ text }: { text: string }) {
  return (
    <div className={styles.code}>
      {/* Wide lines scroll, so the keyboard must reach them. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre className={styles.pre} tabIndex={0}>
        <code>{text}</code>
      </pre>
      <div className={styles.copy}>
        <CopyButton text={text} />
      </div>
    </div>
  );
}
