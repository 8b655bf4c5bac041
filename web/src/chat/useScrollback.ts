/**
 * A list that grows at both ends without moving what is being read. At the bottom it follows
 * what is new; elsewhere the line at the top of the view keeps its place, whatever is loaded
 * above it, trimmed, or wrapped anew by another width. The browser's own anchoring is off in
 * the styles: Safari has none, and two of them would fight.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from "react";

interface ScrollbackOptions {
  /** Changes whenever the rows do. */
  rows: unknown;
  /** The last message of one's own on its way: a new one brings the view to the bottom. */
  ownKey: string | undefined;
  /** Called when the top is near, again and again while it stays so. */
  onNearTop: () => void;
}

export interface Scrollback {
  view: RefObject<HTMLDivElement | null>;
  atBottom: boolean;
  onScroll: () => void;
  toBottom: () => void;
}

/** Closer than this counts as the bottom: fractions of pixels and a nudge of the wheel. */
const BOTTOM_PX = 40;
/** Older messages are asked for this early, so that they are there in time. */
const TOP_PX = 800;
export const LINE = "[data-line]";

export function useScrollback({ rows, ownKey, onNearTop }: ScrollbackOptions): Scrollback {
  const view = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const anchor = useRef<Anchor | null>(null);
  const lastOwn = useRef(ownKey);
  const [atBottom, setAtBottom] = useState(true);

  const settle = useCallback(() => {
    const element = view.current;
    if (!element) return;
    if (follows.current) element.scrollTop = element.scrollHeight;
    else if (anchor.current) restore(element, anchor.current);
    anchor.current = findAnchor(element);
  }, []);

  useLayoutEffect(() => {
    if (ownKey !== undefined && ownKey !== lastOwn.current) follows.current = true;
    lastOwn.current = ownKey;
    settle();
    if ((view.current?.scrollTop ?? TOP_PX) < TOP_PX) onNearTop();
  }, [rows, ownKey, onNearTop, settle]);

  useEffect(() => {
    const element = view.current;
    if (!element) return;
    // Keyboards open, windows turn, the composer grows.
    const observer = new ResizeObserver(settle);
    observer.observe(element);
    return () => observer.disconnect();
  }, [settle]);

  const onScroll = useCallback(() => {
    const element = view.current;
    if (!element) return;
    const below = element.scrollHeight - element.scrollTop - element.clientHeight;
    follows.current = below < BOTTOM_PX;
    setAtBottom(follows.current);
    anchor.current = findAnchor(element);
    if (element.scrollTop < TOP_PX) onNearTop();
  }, [onNearTop]);

  const toBottom = useCallback(() => {
    follows.current = true;
    setAtBottom(true);
    settle();
  }, [settle]);

  return { view, atBottom, onScroll, toBottom };
}

/** A line, and where its top stands in the view. */
interface Anchor {
  key: string;
  top: number;
}

function findAnchor(view: HTMLElement): Anchor | null {
  const lines = view.querySelectorAll<HTMLElement>(LINE);
  const edge = view.getBoundingClientRect().top;
  // The first line that begins within the view: one cut by its edge may change its height.
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const top = lines[middle]?.getBoundingClientRect().top ?? 0;
    if (top >= edge) high = middle;
    else low = middle + 1;
  }
  const line = lines[low] ?? lines[lines.length - 1];
  const key = line?.dataset.line;
  return line && key ? { key, top: line.getBoundingClientRect().top - edge } : null;
}

function restore(view: HTMLElement, { key, top }: Anchor): void {
  const line = view.querySelector(`[data-line="${CSS.escape(key)}"]`);
  if (!line) return;
  const now = line.getBoundingClientRect().top - view.getBoundingClientRect().top;
  if (now !== top) view.scrollTop += now - top;
}
