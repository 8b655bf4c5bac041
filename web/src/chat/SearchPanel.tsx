import type { ChatHit } from "lakh-client";
import { Search, SearchX } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { Excerpt } from "./Excerpt.tsx";
import { withMarks } from "./model/text.ts";
import { covers } from "./panel.ts";
import { messagePath } from "./paths.ts";
import { SidePanel } from "./SidePanel.tsx";
import styles from "./SidePanel.module.css";
import { Found } from "./Text.tsx";
import { useChat, useSession } from "./useChat.ts";

const WAIT_MS = 250;

interface SearchPanelProps {
  /** The room that is open. */
  room: string | null;
  /** Whether it begins with all rooms. */
  everywhere: boolean;
  onClose: () => void;
}

interface Results {
  /** What was asked, to tell an old answer from a new question. */
  asked: string;
  hits: readonly ChatHit[];
  cursor: string | null;
  complete: boolean;
}

/** Searches what was said, here or in all of one's rooms. */
export function SearchPanel(props: SearchPanelProps) {
  const { room, onClose } = props;
  const session = useSession();
  const [, navigate] = useLocation();
  const [words, setWords] = useState("");
  const [everywhere, setEverywhere] = useState(room === null || props.everywhere);
  const [results, setResults] = useState<Results | null>(null);
  const rooms = useChat((state) => state.directory.rooms);
  const names = useMemo(() => new Map(rooms.map(({ id, name }) => [id, name])), [rooms]);
  const where = everywhere ? null : room;
  const asked = JSON.stringify([words.trim(), where]);

  useEffect(() => {
    const wanted = words.trim();
    if (wanted === "") return;
    let late = false;
    const timer = setTimeout(() => {
      void session.attempt(async () => {
        const fields = { words: wanted, ...(where === null ? {} : { room: where }) };
        const found = await session.chat.message.search(fields);
        if (!late) setResults({ asked, ...found });
      });
    }, WAIT_MS);
    return () => {
      late = true;
      clearTimeout(timer);
    };
  }, [session, words, where, asked]);

  const more = () =>
    session.attempt(async () => {
      if (!results?.cursor) return;
      const fields = { words: words.trim(), ...(where === null ? {} : { room: where }) };
      const next = await session.chat.message.search({ ...fields, cursor: results.cursor });
      setResults({ ...results, ...next, hits: [...results.hits, ...next.hits] });
    });
  const open = ({ message }: ChatHit) => {
    if (covers.matches) onClose();
    navigate(messagePath(message.room, message.seq, message.thread));
  };
  const shown = words.trim() === "" ? null : results;

  return (
    <SidePanel title="Search" onClose={onClose}>
      <label className={styles.search}>
        <Search size={16} aria-hidden />
        <input
          data-first
          type="search"
          value={words}
          aria-label="Search messages"
          placeholder="Search messages"
          onChange={(event) => setWords(event.target.value)}
        />
      </label>
      {room !== null && (
        <div className={styles.where} role="group" aria-label="Where to search">
          <button type="button" aria-pressed={!everywhere} onClick={() => setEverywhere(false)}>
            This room
          </button>
          <button type="button" aria-pressed={everywhere} onClick={() => setEverywhere(true)}>
            All rooms
          </button>
        </div>
      )}
      <div className={styles.scroll} aria-live="polite">
        {words.trim() !== "" && shown?.asked !== asked && <Spinner label="Searching…" />}
        {shown?.hits.length === 0 && shown.asked === asked && (
          <Empty icon={<SearchX size={24} aria-hidden />} title="Nothing found">
            Try fewer words, or their beginnings.
          </Empty>
        )}
        <ul className={styles.excerpts}>
          {shown?.hits.map((hit) => {
            const { message, marks } = hit;
            const name = everywhere ? (names.get(message.room) ?? message.room) : undefined;
            return (
              <Excerpt
                key={`${message.room} ${message.thread ?? ""} ${message.seq}`}
                message={message}
                {...(name === undefined ? {} : { room: name })}
                onOpen={() => open(hit)}
              >
                <Found spans={withMarks(message.text, marks)} />
              </Excerpt>
            );
          })}
        </ul>
        {shown?.cursor && (
          <Button look="plain" size="sm" onClick={() => void more()}>
            Show more
          </Button>
        )}
        {shown && !shown.complete && (
          <p className={styles.hint}>Only newer messages were looked through.</p>
        )}
      </div>
    </SidePanel>
  );
}
