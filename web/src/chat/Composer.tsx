import { SendHorizontal } from "lucide-react";
import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { IconButton } from "../ui/IconButton.tsx";
import styles from "./Composer.module.css";
import { countChars, MAX_TEXT } from "./paths.ts";
import { useSession } from "./useChat.ts";

/** The count is shown once there is little left. */
const COUNT_FROM = MAX_TEXT - 500;

/** On a phone Enter makes a line, as its keyboard promises, and the button sends. */
const touch = window.matchMedia("(pointer: coarse)");

interface ComposerProps {
  roomId: string;
  roomName: string;
}

/** Where one writes. What is not sent stays as the room's draft. */
export function Composer({ roomId, roomName }: ComposerProps) {
  const session = useSession();
  const [text, setText] = useState(() => session.memory.draft(roomId));
  const field = useRef<HTMLTextAreaElement>(null);
  const length = countChars(text);
  const sendable = text.trim() !== "" && length <= MAX_TEXT;

  useEffect(() => {
    // Not on a phone, where the keyboard would cover what one came to read.
    if (!touch.matches) field.current?.focus({ preventScroll: true });
    return () => session.typing(roomId, false);
  }, [session, roomId]);

  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);

  const change = (next: string) => {
    setText(next);
    session.memory.keepDraft(roomId, next);
    session.typing(roomId, next.trim() !== "");
  };

  const send = () => {
    if (!sendable) return;
    session.send(roomId, text.trim());
    setText("");
    session.memory.keepDraft(roomId, "");
    field.current?.focus();
  };

  const press = (event: KeyboardEvent) => {
    // An input method uses Enter to choose a word.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    if (touch.matches) return;
    event.preventDefault();
    send();
  };

  return (
    <form
      className={styles.composer}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className={styles.box}>
        <textarea
          ref={field}
          className={styles.field}
          rows={1}
          value={text}
          aria-label={`Message to ${roomName}`}
          placeholder={`Message ${roomName}`}
          onChange={(event) => change(event.target.value)}
          onKeyDown={press}
          onBlur={() => session.typing(roomId, false)}
        />
        <IconButton label="Send" type="submit" disabled={!sendable} className={styles.send}>
          <SendHorizontal size={19} aria-hidden />
        </IconButton>
      </div>
      {length > COUNT_FROM && (
        <p className={styles.count} role="status">
          {length <= MAX_TEXT
            ? `${MAX_TEXT - length} characters left`
            : `${length - MAX_TEXT} characters too long`}
        </p>
      )}
    </form>
  );
}
