import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useColorScheme } from "../app/useColorScheme.ts";
import { formatClock, formatRate } from "./format.ts";
import styles from "./TimePlot.module.css";

export interface TimeSeries {
  label: string;
  /** A colour token, such as `--accent`. */
  color: string;
  /** A token for the ground under the line. */
  fill?: string;
}

interface TimePlotProps {
  series: readonly TimeSeries[];
  /** Seconds since 1970, then one row of values a series. */
  data: uPlot.AlignedData;
  /** The seconds that the plot spans, ending at the last point. */
  window_s: number;
  /** The plot in words. */
  description: string;
  /** The index of the point under the pointer, or null. */
  onPoint?: (index: number | null) => void;
}

const HEIGHT = 220;
/** An idle server still gets an axis with sense: 0 to 5 a second, not 0 to 0. */
const LEAST_TOP = 5;

/** Lines over the last minutes. A canvas: what it says stands in `description` as well. */
export function TimePlot({ series, data, window_s, description, onPoint }: TimePlotProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ data, onPoint });
  const scheme = useColorScheme();

  useEffect(() => {
    latest.current = { data, onPoint };
    plot.current?.setData(data);
  }, [data, onPoint]);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new uPlot(
      options(element, series, window_s, (index) => latest.current.onPoint?.(index)),
      latest.current.data,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
    // A canvas keeps the colours it was drawn with: a new scheme needs a new plot.
  }, [series, window_s, scheme]);

  return <div ref={host} className={styles.plot} role="img" aria-label={description} />;
}

function options(
  host: HTMLElement,
  series: readonly TimeSeries[],
  window_s: number,
  onPoint: (index: number | null) => void,
): uPlot.Options {
  const text = colorOf(host, "--ink-3");
  const line = colorOf(host, "--line");
  const font = `12px ${getComputedStyle(host).fontFamily}`;
  const axis = { stroke: text, font, ticks: { show: false } };
  return {
    width: host.clientWidth,
    height: HEIGHT,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: true, range: (_plot, _min, max) => [max - window_s, max] },
      y: { range: (_plot, _min, max) => [0, Math.max(LEAST_TOP, max * 1.15)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 56,
        size: 26,
        incrs: [60, 120, 300, 600],
        values: (_plot, times) => times.map((time) => formatClock(time * 1000).slice(0, 5)),
      },
      {
        ...axis,
        size: 48,
        grid: { stroke: line, width: 1 },
        values: (_plot, values) => values.map(formatRate),
      },
    ],
    series: [
      {},
      ...series.map((one): uPlot.Series => ({
        label: one.label,
        stroke: colorOf(host, one.color),
        width: 2,
        points: { show: false },
        ...(one.fill ? { fill: colorOf(host, one.fill) } : {}),
      })),
    ],
    hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
  };
}

/** A token's colour as a canvas takes it: resolved, without `light-dark()`. */
function colorOf(host: HTMLElement, token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${token})`;
  host.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
