import { useMemo, useState } from "react";
import { Card } from "../ui/Card.tsx";
import { formatClock, formatRate } from "../ui/format.ts";
import { TimePlot, type TimeSeries } from "../ui/TimePlot.tsx";
import { summarise, tableRows, WINDOW_MS, type Point } from "./rates.ts";
import styles from "./Throughput.module.css";

const SERIES: readonly TimeSeries[] = [
  { label: "Out", color: "--second", fill: "--second-wash" },
  { label: "In", color: "--accent", fill: "--accent-wash" },
];

/** Messages a second, as lines, in words and as a table. */
export function Throughput({ points }: { points: readonly Point[] }) {
  const [pointed, setPointed] = useState<number | null>(null);
  const data = useMemo(
    () =>
      [
        points.map((p) => p.time_ms / 1000),
        points.map((p) => p.out),
        points.map((p) => p.in),
      ] satisfies [number[], (number | null)[], (number | null)[]],
    [points],
  );
  const shown = (pointed === null ? undefined : points[pointed]) ?? points.at(-1);

  return (
    <Card title="Messages a second" aside={<Legend shown={shown} live={pointed === null} />}>
      <TimePlot
        series={SERIES}
        data={data}
        window_s={WINDOW_MS / 1000}
        description={summarise(points)}
        onPoint={setPointed}
      />
      <details className={styles.details}>
        <summary>As a table</summary>
        <FiguresTable points={points} />
      </details>
    </Card>
  );
}

function Legend({ shown, live }: { shown: Point | undefined; live: boolean }) {
  return (
    <p className={styles.legend}>
      <span className={styles.when}>{live || !shown ? "now" : formatClock(shown.time_ms)}</span>
      <span className={styles.key} data-side="in">
        In <b>{formatRate(shown?.in ?? null)}</b>
      </span>
      <span className={styles.key} data-side="out">
        Out <b>{formatRate(shown?.out ?? null)}</b>
      </span>
    </p>
  );
}

function FiguresTable({ points }: { points: readonly Point[] }) {
  const rows = tableRows(points);
  if (rows.length === 0) return <p className={styles.none}>No figures yet.</p>;
  return (
    <table className={styles.table}>
      <caption>Means of half minutes, newest first</caption>
      <thead>
        <tr>
          <th scope="col">From</th>
          <th scope="col">In</th>
          <th scope="col">Out</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.start_ms}>
            <th scope="row">{formatClock(row.start_ms)}</th>
            <td>{formatRate(row.in)}</td>
            <td>{formatRate(row.out)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
