import clsx from "clsx";
import { memo } from "react";
import { Avatar } from "../ui/Avatar.tsx";
import { Hidden } from "../ui/Hidden.tsx";
import { personTone } from "../ui/person.ts";
import styles from "./Block.module.css";
import { MessageLine } from "./MessageLine.tsx";
import { isSameBlock, type BlockRow } from "./model/grouping.ts";
import { clockTime, fullTime } from "./model/times.ts";

interface BlockProps {
  roomId: string;
  block: BlockRow;
  /** The last message of the room is where the Tab key enters. */
  isLast: boolean;
}

/** What one person said at a stretch. Drawn again only when that has changed. */
export const Block = memo(BlockView, (a, b) => {
  return a.roomId === b.roomId && a.isLast === b.isLast && isSameBlock(a.block, b.block);
});

function BlockView({ roomId, block, isLast }: BlockProps) {
  const { from, mine, lines } = block;
  const first = lines[0];
  if (!first) return null;
  return (
    <article className={clsx(styles.block, mine && styles.mine)}>
      {!mine && <Avatar user={from} />}
      <div className={styles.body}>
        <header className={styles.head}>
          {mine ? (
            <Hidden>You</Hidden>
          ) : (
            <span className={styles.name} data-tone={personTone(from.id)}>
              {from.name}
            </span>
          )}
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
            roomId={roomId}
            line={line}
            mine={mine}
            first={index === 0}
            tabStop={isLast && index === lines.length - 1}
          />
        ))}
      </div>
    </article>
  );
}
