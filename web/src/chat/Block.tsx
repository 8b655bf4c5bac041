import { memo } from "react";
import { Avatar } from "../ui/Avatar.tsx";
import { personTone } from "../ui/person.ts";
import styles from "./Message.module.css";
import { MessageLine } from "./MessageLine.tsx";
import { isSameBlock, type BlockRow } from "./model/grouping.ts";
import { clockTime, fullTime } from "./model/times.ts";
import { useActs } from "./roomContext.ts";
import { useName } from "./useName.ts";

interface BlockProps {
  block: BlockRow;
  /** The last message of the room is where the Tab key enters. */
  isLast: boolean;
}

/** What one person said at a stretch. Drawn again only when that has changed. */
export const Block = memo(BlockView, (a, b) => {
  return a.isLast === b.isLast && isSameBlock(a.block, b.block);
});

function BlockView({ block, isLast }: BlockProps) {
  const { showPerson } = useActs();
  const { from, lines, mine } = block;
  const name = useName(from);
  const first = lines[0];
  if (!first) return null;
  return (
    <article className={styles.block}>
      <button
        type="button"
        className={styles.avatar}
        tabIndex={-1}
        aria-hidden
        onClick={() => showPerson(from.id)}
      >
        <Avatar user={{ ...from, name }} />
      </button>
      <header className={styles.head}>
        <button
          type="button"
          className={styles.name}
          data-tone={personTone(from.id)}
          tabIndex={-1}
          onClick={() => showPerson(from.id)}
        >
          {name}
        </button>
        {mine && <span className={styles.you}>you</span>}
        <time
          className={styles.time}
          dateTime={new Date(first.time).toISOString()}
          title={fullTime(first.time)}
        >
          {clockTime(first.time)}
        </time>
      </header>
      {lines.map((line, index) => (
        <MessageLine
          key={line.key}
          line={line}
          first={index === 0}
          tabStop={isLast && index === lines.length - 1}
        />
      ))}
    </article>
  );
}
