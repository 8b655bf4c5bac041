import clsx from "clsx";
import type { ReactNode } from "react";
import type { Stats } from "../api/client.ts";
import { Card } from "../ui/Card.tsx";
import { formatBytes, formatCount, formatDuration } from "../ui/format.ts";
import styles from "./Health.module.css";

interface HealthProps {
  stats: Stats;
  cpu_percent: number | null;
  stale: boolean;
}

export function Health({ stats, cpu_percent, stale }: HealthProps) {
  const share = cpu_percent === null ? null : cpu_percent / Math.max(1, stats.loops);
  return (
    <Card title="Node" className={clsx(stale && styles.stale)}>
      <dl className={styles.list}>
        <Row name="CPU">
          {share === null ? "–" : `${share.toFixed(share < 10 ? 1 : 0)} %`}
          <span className={styles.note}>
            {" "}
            of {formatCount(stats.loops)} {stats.loops === 1 ? "loop" : "loops"}
          </span>
          <meter
            className={styles.meter}
            min={0}
            max={100}
            value={Math.min(100, share ?? 0)}
            aria-label="CPU in use"
          />
        </Row>
        <Row name="Memory">{formatBytes(stats.resident_bytes)}</Row>
        <Row name="Bytes in">{formatBytes(stats.bytes_in)}</Row>
        <Row name="Bytes out">{formatBytes(stats.bytes_out)}</Row>
        <Row name="Up for">{formatDuration(stats.uptime_s)}</Row>
        <Row name="Version">{stats.version}</Row>
      </dl>
    </Card>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className={styles.row}>
      <dt className={styles.name}>{name}</dt>
      <dd className={styles.value}>{children}</dd>
    </div>
  );
}
