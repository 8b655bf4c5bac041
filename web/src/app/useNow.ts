import { useSyncExternalStore } from "react";

const EVERY_MS = 60_000;

let now = Date.now();

function subscribe(listener: () => void): () => void {
  const tick = () => {
    now = Date.now();
    listener();
  };
  const timer = setInterval(tick, EVERY_MS);
  // Timers of a hidden tab may sleep through midnight.
  document.addEventListener("visibilitychange", tick);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", tick);
  };
}

/** The time of day, good to a minute: for words such as "Today" that go out of date. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
