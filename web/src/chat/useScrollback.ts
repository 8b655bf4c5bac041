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
  /** Whether the last row is the newest there is: then the bottom is followed. */
  atEnd: boolean;
  /** Called when an end is near, again and again while it stays so. */
  onNearTop: () => void;
  onNearBottom: () => void;
}

export interface Scrollback {
  view: RefObject<HTMLDivElement | null>;
  /** The end of the rows is in view, and they are the newest. */
  atBottom: boolean;
  onScroll: () => void;
  toBottom: () => void;
  /** Brings a message into the middle of the view; false if it isn't on the page. */
  toMessage: (seq: number) => boolean;
}

/** Closer than this counts as the bottom: fractions of pixels and a nudge of the wheel. */
const BOTTOM_PX = 40;
/** More is asked for this early, so that it is there in time. */
const NEAR_PX = 800;
/** Where the first new message stands when a room is opened: with some of what came before. */
const NEW_AT = 0.25;
export const LINE = "[data-line]";

export function useScrollback(options: ScrollbackOptions): Scrollback {
  const { rows, ownKey, atEnd, onNearTop, onNearBottom } = options;
  const view = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const opened = useRef(false);
  const anchor = useRef<Anchor | null>(null);
  const lastOwn = useRef(ownKey);
  // Not before it was looked at: what is down counts as read.
  const [isDown, setIsDown] = useState(false);

  const settle = useCallback(() => {
    const element = view.current;
    if (!element) return;
    if (follows.current) element.scrollTop = element.scrollHeight;
    else if (anchor.current) restore(element, anchor.current);
    anchor.current = findAnchor(element);
  }, []);

  const look = useCallback(() => {
    const element = view.current;
    if (!element) return;
    if (element.scrollTop < NEAR_PX) onNearTop();
    if (belowOf(element) < NEAR_PX) onNearBottom();
  }, [onNearTop, onNearBottom]);

  useLayoutEffect(() => {
    if (ownKey !== undefined && ownKey !== lastOwn.current) follows.current = true;
    else if (!atEnd) follows.current = false;
    lastOwn.current = ownKey;
    const element = view.current;
    if (!opened.current && element) {
      opened.current = true;
      follows.current = !openAtNew(element);
      setIsDown(follows.current);
    }
    settle();
    look();
  }, [rows, ownKey, atEnd, settle, look]);

  useEffect(() => {
    const element = view.current;
    if (!element) return;
    // Keyboards open, windows turn, the composer grows, pictures without a size arrive.
    const observer = new ResizeObserver(settle);
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, [settle]);

  const onScroll = useCallback(() => {
    const element = view.current;
    if (!element) return;
    const down = belowOf(element) < BOTTOM_PX;
    follows.current = down && atEnd;
    setIsDown(down);
    anchor.current = findAnchor(element);
    look();
  }, [atEnd, look]);

  const toBottom = useCallback(() => {
    follows.current = true;
    setIsDown(true);
    settle();
  }, [settle]);

  const toMessage = useCallback((seq: number) => {
    const element = view.current;
    const line = element?.querySelector<HTMLElement>(`[data-seq="${seq}"]`);
    if (!element || !line) return false;
    follows.current = false;
    line.scrollIntoView({ block: "center" });
    light(line);
    anchor.current = findAnchor(element);
    setIsDown(belowOf(element) < BOTTOM_PX);
    return true;
  }, []);

  return { view, atBottom: isDown && atEnd, onScroll, toBottom, toMessage };
}

function belowOf(view: HTMLElement): number {
  return view.scrollHeight - view.scrollTop - view.clientHeight;
}

/** Scrolls to the line before what is new, if there is one that would be out of view. */
function openAtNew(view: HTMLElement): boolean {
  const mark = view.querySelector<HTMLElement>("[data-new]");
  if (!mark) return false;
  view.scrollTop = view.scrollHeight;
  const top = mark.getBoundingClientRect().top - view.getBoundingClientRect().top;
  const wanted = view.clientHeight * NEW_AT;
  if (top >= wanted) return false;
  view.scrollTop -= wanted - top;
  return true;
}

const LIT_MS = 2000;

function light(line: HTMLElement): void {
  line.dataset.lit = "";
  setTimeout(() => delete line.dataset.lit, LIT_MS);
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
