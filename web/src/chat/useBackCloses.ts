import { useEffect, useRef } from "react";
import { covers } from "./panel.ts";

/** What covers the messages looks like a page: there the browser's way back leaves it, and not the room. */
export function useBackCloses(open: boolean, close: () => void): void {
  const latest = useRef(close);
  useEffect(() => {
    latest.current = close;
  });
  useEffect(() => {
    if (!open || !covers.matches) return;
    const mark = { covered: performance.now() };
    window.history.pushState(mark, "");
    const back = () => latest.current();
    window.addEventListener("popstate", back);
    return () => {
      window.removeEventListener("popstate", back);
      // Closed by other means: its entry goes, too, unless one has gone elsewhere from it.
      const at = window.history.state as Partial<typeof mark> | null;
      if (at?.covered === mark.covered) window.history.back();
    };
  }, [open]);
}
