import type { ChatMessage } from "lakh-client";
import { memo, type ReactNode } from "react";
import { toSpans, type Span } from "./model/text.ts";
import styles from "./Message.module.css";
import { useSession } from "./useChat.ts";

interface TextProps {
  text: string;
  mentions?: ChatMessage["mentions"];
}

/** What somebody wrote, with its addresses, marks and mentions. */
export const Text = memo(function Text({ text, mentions }: TextProps) {
  const session = useSession();
  const me = session.state.get().me;
  const known = (id: string) => (id === me.id ? me : session.people.get(id))?.name;
  const names = (mentions ?? []).flatMap((id) => (id === "*" ? ["all"] : (known(id) ?? [])));
  return toSpans(text, names).map((span, index) => (
    <Part key={index} span={span} own={span.text === `@${me.name}` || span.text === "@all"} />
  ));
});

function Part({ span, own }: { span: Span; own: boolean }) {
  switch (span.kind) {
    case "link":
      return (
        <a href={span.href} target="_blank" rel="noopener noreferrer">
          {span.text}
        </a>
      );
    case "code":
      return <code className={styles.code}>{span.text}</code>;
    case "block":
      // Long lines scroll, for the keyboard too.
      return (
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <code className={styles.codeBlock} role="group" aria-label="Code" tabIndex={0}>
          {span.text}
        </code>
      );
    case "mention":
      return (
        <span className={styles.mention} data-own={own || undefined}>
          {span.text}
        </span>
      );
    case "found":
      return <mark className={styles.found}>{span.text}</mark>;
    case "text":
      return styled(span);
  }
}

function styled(span: Span): ReactNode {
  let node: ReactNode = span.text;
  if (span.struck) node = <s>{node}</s>;
  if (span.italic) node = <em>{node}</em>;
  if (span.bold) node = <strong>{node}</strong>;
  return node;
}

/** A piece of text with what was found in it. */
export function Found({ spans }: { spans: readonly Span[] }) {
  return spans.map((span, index) => <Part key={index} span={span} own={false} />);
}
