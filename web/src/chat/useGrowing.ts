/** A long list that is drawn piece by piece, as its end comes near: most is never looked at. */
import { useCallback, useRef, useState } from "react";

const PIECE = 60;
/** The next piece is there before its place is seen. */
const EARLY = "800px";

/** How many to draw, and where to put the mark that stands after them. */
export function useGrowing(): [shown: number, end: (mark: Element | null) => void] {
  const [shown, setShown] = useState(PIECE);
  const observer = useRef<IntersectionObserver>(undefined);
  const end = useCallback((mark: Element | null) => {
    observer.current?.disconnect();
    if (!mark) return;
    const grow = (seen: IntersectionObserverEntry[]) => {
      if (seen.some((one) => one.isIntersecting)) setShown((old) => old + PIECE);
    };
    observer.current = new IntersectionObserver(grow, {
      root: mark.closest("[data-scroll]"),
      rootMargin: EARLY,
    });
    observer.current.observe(mark);
  }, []);
  return [shown, end];
}
