import clsx from "clsx";
import type { Stats } from "../api/client.ts";
import { formatCount, formatRate } from "../ui/format.ts";
import type { Point } from "./rates.ts";
import styles from "./Tiles.module.css";

interface TilesProps {
  stats: Stats;
  points: readonly Point[];
  stale: boolean;
}

/** The four figures that one looks at first. */
export function Tiles({ stats, points, stale }: TilesProps) {
  const { connections } = stats;
  const now = points.at(-1);
  const byTransport = [
    `${formatCount(connections.websocket)} WebSocket`,
    `${formatCount(connections.polling)} polling`,
  ].join(" · ");
  return (
    <dl className={clsx(styles.tiles, stale && styles.stale)}>
      <Tile name="Live connections" value={formatCount(connections.total)} note={byTransport} />
      <Tile
        name="Rooms"
        value={formatCount(stats.rooms)}
        note={`${formatCount(stats.sockets)} ${stats.sockets === 1 ? "socket" : "sockets"}`}
      />
      <Tile
        name="Messages in"
        value={formatRate(now?.in ?? null)}
        unit="/s"
        note={`${formatCount(stats.messages_in)} since start`}
      />
      <Tile
        name="Messages out"
        value={formatRate(now?.out ?? null)}
        unit="/s"
        note={`${formatCount(stats.messages_out)} since start`}
      />
    </dl>
  );
}

interface TileProps {
  name: string;
  value: string;
  unit?: string;
  note: string;
}

function Tile({ name, value, unit, note }: TileProps) {
  return (
    <div className={styles.tile}>
      <dt className={styles.name}>{name}</dt>
      <dd className={styles.value}>
        {value}
        {unit && <span className={styles.unit}>{unit}</span>}
      </dd>
      <dd className={styles.note}>{note}</dd>
    </div>
  );
}
