import { useRef, type MouseEvent, type PointerEvent } from "react";

const LONG_MS = 450;

/** A finger that stays, or a right click. What the finger does when it lifts is swallowed. */
export function useLongPress(onLong: () => void) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const fired = useRef(false);
  const stop = () => clearTimeout(timer.current);
  return {
    onPointerDown: (event: PointerEvent) => {
      fired.current = false;
      if (event.pointerType === "mouse") return;
      timer.current = setTimeout(() => {
        fired.current = true;
        onLong();
      }, LONG_MS);
    },
    onPointerUp: stop,
    onPointerCancel: stop,
    onPointerLeave: stop,
    onContextMenu: (event: MouseEvent) => {
      event.preventDefault();
      if (!fired.current) onLong();
    },
    onClickCapture: (event: MouseEvent) => {
      if (fired.current) event.stopPropagation();
      fired.current = false;
    },
  };
}
