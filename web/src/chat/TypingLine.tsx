import type { Typing } from "lakh-client";
import { typingText } from "./model/typing.ts";
import styles from "./TypingLine.module.css";

/** Keeps its place when nobody types, so that nothing moves. Not read out: it comes and goes. */
export function TypingLine({ typing, count }: { typing: Typing; count?: number }) {
  const text = typingText(typing, count);
  return (
    <p className={styles.line}>
      {text && (
        <>
          <span className={styles.dots} aria-hidden>
            <span />
            <span />
            <span />
          </span>
          <span className={styles.text}>{text}</span>
        </>
      )}
    </p>
  );
}
