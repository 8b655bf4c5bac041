import type { ChatMessage } from "lakh-client";
import { use, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { Button } from "../ui/Button.tsx";
import styles from "./Message.module.css";
import { mentionedIn } from "./model/mentions.ts";
import { countChars, MAX_TEXT } from "./paths.ts";
import { StopEditingContext, useActs } from "./roomContext.ts";
import { useSession } from "./useChat.ts";
import { useFittedHeight } from "./useFittedHeight.ts";

/** A message being written anew, in its place. Enter saves, Escape gives up. */
export function EditMessage({ message }: { message: ChatMessage }) {
  const session = useSession();
  const { room } = useActs();
  const stop = use(StopEditingContext);
  const [text, setText] = useState(message.text);
  const field = useRef<HTMLTextAreaElement>(null);
  const savable = (text.trim() !== "" || message.attachments) && countChars(text) <= MAX_TEXT;

  useLayoutEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(message.text.length, message.text.length);
  }, [message.text]);
  useFittedHeight(field, text);

  const save = () => {
    const next = text.trim();
    if (!savable) return;
    stop();
    if (next === message.text) return;
    const named = (message.mentions ?? []).flatMap((id) => session.people.get(id) ?? []);
    const all = message.mentions?.includes("*") ? ["*"] : [];
    const mentions = [...mentionedIn(next, named), ...all];
    void session.attempt(() => room.edit(message, next, mentions));
  };
  const press = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      stop();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      save();
    }
  };

  return (
    <div className={styles.editor}>
      <textarea
        ref={field}
        className={styles.editField}
        rows={1}
        value={text}
        aria-label="Edit message"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={press}
      />
      <div className={styles.editButtons}>
        <Button size="sm" onClick={stop}>
          Cancel
        </Button>
        <Button size="sm" look="solid" disabled={!savable} onClick={save}>
          Save
        </Button>
        <span className={styles.editHint}>Enter saves, Escape cancels</span>
      </div>
    </div>
  );
}
