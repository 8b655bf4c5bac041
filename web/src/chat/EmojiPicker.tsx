import * as Popover from "@radix-ui/react-popover";
import { useRef, useState, type KeyboardEvent, type ReactElement } from "react";
import styles from "./EmojiPicker.module.css";
import { findEmoji, quickEmoji } from "./model/emoji.ts";
import { useSession } from "./useChat.ts";

interface EmojiPickerProps {
  trigger: ReactElement;
  onPick: (emoji: string) => void;
  onOpen?: (open: boolean) => void;
  /** Whether `onPick` puts the focus somewhere itself. */
  keepFocus?: boolean;
}

/** A button's list of emoji, found by word. Arrow keys go through them. */
export function EmojiPicker({ trigger, onPick, onOpen, keepFocus = false }: EmojiPickerProps) {
  const [open, setOpen] = useState(false);
  const picked = useRef(false);
  const change = (next: boolean) => {
    setOpen(next);
    onOpen?.(next);
  };
  return (
    <Popover.Root open={open} onOpenChange={change}>
      <Popover.Trigger asChild>{trigger}</Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          className={styles.picker}
          side="top"
          align="end"
          sideOffset={6}
          collisionPadding={8}
          aria-label="Emoji"
          onCloseAutoFocus={(event) => {
            if (picked.current && keepFocus) event.preventDefault();
            picked.current = false;
          }}
        >
          <Choices
            onPick={(emoji) => {
              picked.current = true;
              change(false);
              onPick(emoji);
            }}
          />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

function Choices({ onPick }: { onPick: (emoji: string) => void }) {
  const { memory } = useSession();
  const [query, setQuery] = useState("");
  const [recent] = useState(() => quickEmoji(memory.recentEmoji()));
  const found = findEmoji(query);
  const pick = (emoji: string) => {
    memory.useEmoji(emoji);
    onPick(emoji);
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" && found[0]) {
      event.preventDefault();
      pick(found[0].char);
    }
  };
  return (
    <>
      <input
        className={styles.search}
        type="search"
        value={query}
        placeholder="Find an emoji"
        aria-label="Find an emoji"
        onChange={(event) => setQuery(event.target.value)}
        onKeyDown={press}
      />
      {/* The buttons inside are what is focused; the grid only hears their arrow keys. */}
      {/* eslint-disable-next-line jsx-a11y/no-static-element-interactions */}
      <div className={styles.scroll} onKeyDown={moveFocus}>
        {query === "" && (
          <div className={styles.grid} data-recent>
            {recent.map((emoji) => (
              <Choice key={emoji} emoji={emoji} words={emoji} onPick={pick} />
            ))}
          </div>
        )}
        <div className={styles.grid}>
          {found.map(({ char, words }) => (
            <Choice key={char} emoji={char} words={words} onPick={pick} />
          ))}
        </div>
        {found.length === 0 && <p className={styles.none}>Nothing by that name</p>}
      </div>
    </>
  );
}

interface ChoiceProps {
  emoji: string;
  words: string;
  onPick: (emoji: string) => void;
}

function Choice({ emoji, words, onPick }: ChoiceProps) {
  return (
    <button
      type="button"
      className={styles.choice}
      aria-label={words}
      title={words}
      onClick={() => onPick(emoji)}
    >
      {emoji}
    </button>
  );
}

function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const all = [...event.currentTarget.querySelectorAll("button")];
  const grid = all[0]?.parentElement;
  // A finger has fewer in a row.
  const columns = grid ? getComputedStyle(grid).gridTemplateColumns.split(" ").length : 1;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  if (step === undefined) return;
  const at = all.findIndex((one) => one === document.activeElement);
  event.preventDefault();
  all[Math.min(all.length - 1, Math.max(0, at + step))]?.focus();
}
