import type { Carried, ChatMessage, User } from "lakh-client";
import { Paperclip, SendHorizontal, SmilePlus, X } from "lucide-react";
import { useEffect, useId, useRef, useState, type ClipboardEvent, type KeyboardEvent } from "react";
import { touch } from "../app/keys.ts";
import { useStore } from "../app/store.ts";
import { IconButton } from "../ui/IconButton.tsx";
import type { Attaching } from "./attaching.ts";
import styles from "./Composer.module.css";
import { EmojiPicker } from "./EmojiPicker.tsx";
import { SendMenu } from "./later/SendMenu.tsx";
import { MentionList } from "./MentionList.tsx";
import { askedAt, complete, mentionedIn } from "./model/mentions.ts";
import { plainText } from "./model/text.ts";
import { countChars, MAX_TEXT } from "./paths.ts";
import { Uploads } from "./Uploads.tsx";
import { useChat, useSession } from "./useChat.ts";
import { useFittedHeight } from "./useFittedHeight.ts";
import { useMentionable } from "./useMentionable.ts";

/** The count is shown once there is little left. */
const COUNT_FROM = MAX_TEXT - 500;

/** On a phone Enter makes a line, as its keyboard promises, and the button sends. */

interface ComposerProps {
  roomId: string;
  /** What the field is called: "Message to tea". */
  label: string;
  thread?: number;
  attaching: Attaching;
  replyTo: ChatMessage | null;
  onReplyDone: () => void;
  /** The arrow key upwards in an empty field. */
  onEditLast: () => void;
}

/** Where one writes. What is not sent stays as the room's draft. */
export function Composer(props: ComposerProps) {
  const { roomId, label, thread, attaching, replyTo, onReplyDone, onEditLast } = props;
  const session = useSession();
  const mayUpload = useChat((state) => state.features.has("attachment:upload"));
  const [text, setText] = useState(() => session.memory.draft(roomId, thread));
  const [caret, setCaret] = useState(0);
  const [chosen, setChosen] = useState<readonly User[]>([]);
  const [dismissed, setDismissed] = useState<number | null>(null);
  const [active, setActive] = useState(0);
  const field = useRef<HTMLTextAreaElement>(null);
  const files = useRef<HTMLInputElement>(null);
  const listId = useId();

  const asked = askedAt(text, caret);
  const people = useMentionable(roomId, asked && asked.at !== dismissed ? asked.word : null);
  const offered = useOffered(people);
  const fits = people.length > 0;

  const length = countChars(text);
  const uploads = useStore(attaching.list);
  const ready = uploads.filter((one) => one.done);
  const busy = uploads.some((one) => !one.done && one.error === null);
  const sendable = (text.trim() !== "" || ready.length > 0) && length <= MAX_TEXT && !busy;

  useEffect(() => {
    // Not on a phone, where the keyboard would cover what one came to read.
    if (!touch.matches) field.current?.focus({ preventScroll: true });
    return () => session.room(roomId)?.typing(false, thread);
  }, [session, roomId, thread]);

  useEffect(() => {
    if (replyTo) field.current?.focus();
  }, [replyTo]);

  useFittedHeight(field, text);

  const change = (next: string, at: number) => {
    setText(next);
    setCaret(at);
    setActive(0);
    session.memory.keepDraft(roomId, next, thread);
    session.room(roomId)?.typing(next.trim() !== "", thread);
  };

  /** Puts text where the caret is, and the caret behind it. */
  const put = (next: string, at: number) => {
    change(next, at);
    requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.setSelectionRange(at, at);
    });
  };

  const mention = (person: User) => {
    if (!asked) return;
    setChosen((old) => [...old, person]);
    const done = complete(text, asked, person.name);
    put(done.text, done.caret);
  };

  /** What is written, as it is sent; `more` says how. */
  const written = (more: Carried = {}) => {
    const mentions = mentionedIn(text, chosen, [...offered.values()]);
    const attachments = ready.flatMap((one) => one.done ?? []);
    const carried = {
      ...(mentions.length > 0 ? { mentions } : {}),
      ...(attachments.length > 0 ? { attachments: attachments.map((one) => one.id) } : {}),
      ...(replyTo ? { reply_to: replyTo.seq } : {}),
      ...more,
    };
    const reply_to = replyTo && { seq: replyTo.seq, from: replyTo.from, text: replyTo.text };
    return { text: text.trim(), carried, attachments, ...(reply_to ? { reply_to } : {}) };
  };

  const send = (more?: Carried) => {
    if (!sendable) return;
    if (uploads.some((one) => one.error !== null)) {
      session.say("A file could not be uploaded: remove it, then send", true);
      return;
    }
    session.send(roomId, written(more), thread);
    clear();
  };

  const sendAt = async (at: number) => {
    const { text: said, carried } = written(thread === undefined ? {} : { thread });
    const done = await session.sendLater(roomId, said, at, carried);
    if (done) clear();
    return done;
  };

  const clear = () => {
    setText("");
    setChosen([]);
    offered.clear();
    attaching.clear();
    onReplyDone();
    session.memory.keepDraft(roomId, "", thread);
    field.current?.focus();
  };

  const pressInList = (event: KeyboardEvent): boolean => {
    const { length: count } = people;
    if (event.key === "ArrowDown") setActive((active + 1) % count);
    else if (event.key === "ArrowUp") setActive((active + count - 1) % count);
    else if (event.key === "Escape") {
      setDismissed(asked?.at ?? null);
      offered.clear();
    } else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) {
      const person = people[active];
      if (person) mention(person);
    } else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };

  const press = (event: KeyboardEvent) => {
    // An input method uses Enter to choose a word.
    if (event.nativeEvent.isComposing || (fits && pressInList(event))) return;
    if (event.key === "Escape" && replyTo) {
      event.preventDefault();
      onReplyDone();
    } else if (event.key === "ArrowUp" && text === "") {
      event.preventDefault();
      onEditLast();
    } else if (event.key === "Enter" && !event.shiftKey && !touch.matches) {
      event.preventDefault();
      send();
    }
  };

  const paste = (event: ClipboardEvent) => {
    const pasted = [...event.clipboardData.files];
    if (pasted.length === 0 || !mayUpload) return;
    event.preventDefault();
    attaching.add(pasted);
  };

  return (
    <form
      className={styles.composer}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {fits && (
        <MentionList
          id={listId}
          people={people}
          active={active}
          onChoose={mention}
          onPoint={setActive}
        />
      )}
      <div className={styles.box}>
        {replyTo && (
          <div className={styles.reply}>
            <span className={styles.replyText}>
              Reply to <strong>{replyTo.from.name}</strong>: {plainText(replyTo.text) || "a file"}
            </span>
            <IconButton label="Cancel reply" className={styles.small} onClick={onReplyDone}>
              <X size={15} aria-hidden />
            </IconButton>
          </div>
        )}
        <Uploads uploads={uploads} onRemove={(id) => attaching.remove(id)} />
        <div className={styles.row}>
          {mayUpload && (
            <>
              <IconButton label="Attach files" onClick={() => files.current?.click()}>
                <Paperclip size={19} aria-hidden />
              </IconButton>
              <input
                ref={files}
                type="file"
                multiple
                hidden
                aria-label="Files to attach"
                onChange={(event) => {
                  attaching.add([...(event.target.files ?? [])]);
                  event.target.value = "";
                  field.current?.focus();
                }}
              />
            </>
          )}
          <textarea
            ref={field}
            className={styles.field}
            rows={1}
            data-focus-home
            value={text}
            aria-label={label}
            placeholder={label}
            aria-autocomplete="list"
            aria-controls={fits ? listId : undefined}
            aria-activedescendant={fits ? `${listId}-${active}` : undefined}
            onChange={(event) => change(event.target.value, event.target.selectionStart)}
            onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
            onKeyDown={press}
            onPaste={paste}
            onBlur={() => session.room(roomId)?.typing(false, thread)}
          />
          <EmojiPicker
            keepFocus
            onPick={(emoji) =>
              put(text.slice(0, caret) + emoji + text.slice(caret), caret + emoji.length)
            }
            trigger={
              <IconButton label="Emoji" className={styles.emoji}>
                <SmilePlus size={19} aria-hidden />
              </IconButton>
            }
          />
          <SendMenu enabled={sendable} onSend={send} onSendAt={sendAt} />
          <IconButton label="Send" type="submit" disabled={!sendable} className={styles.send}>
            <SendHorizontal size={19} aria-hidden />
          </IconButton>
        </div>
      </div>
      {length > COUNT_FROM && (
        <p className={styles.count} role="status" data-over={length > MAX_TEXT ? "" : undefined}>
          {length <= MAX_TEXT
            ? `${MAX_TEXT - length} characters left`
            : `${length - MAX_TEXT} characters too long`}
        </p>
      )}
    </form>
  );
}

/** Whoever the list has shown: a name may be written to its end without choosing it there. */
function useOffered(people: readonly User[]): Map<string, User> {
  const [offered] = useState(() => new Map<string, User>());
  useEffect(() => {
    for (const person of people) offered.set(person.id, person);
  }, [offered, people]);
  return offered;
}
