import { Clock } from "lucide-react";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { useStore } from "../app/store.ts";
import { Banner } from "../ui/Banner.tsx";
import { ButtonLink } from "../ui/Button.tsx";
import { askSession, providerAddress, session } from "./session.ts";

/** So long before its end a session says so. */
const WARN_MS = 5 * 60_000;

/** Says that the session is about to end, in time to sign in again. */
export function SessionBanner() {
  const state = useStore(session);
  const [path] = useLocation();
  const ends_ms = state.kind === "known" ? state.ends_ms : null;
  const minutes = useMinutesLeft(ends_ms, state.kind === "known" ? state.at_ms : 0);
  if (minutes === null || state.kind !== "known") return null;
  const again =
    state.info.provider !== null && !state.info.person?.id.startsWith("local:")
      ? providerAddress(path)
      : `/sign-in?${new URLSearchParams({ again: "", return_to: path }).toString()}`;
  return (
    <Banner
      tone="warn"
      icon={<Clock size={18} aria-hidden />}
      action={
        <ButtonLink size="sm" href={again}>
          Sign in again
        </ButtonLink>
      }
    >
      Your session ends in {minutes === 1 ? "a minute" : `${minutes} minutes`}.
    </Banner>
  );
}

/** Whole minutes until then, from five on; null before. */
function useMinutesLeft(ends_ms: number | null, at_ms: number): number | null {
  const [now, setNow] = useState(() => Date.now());
  const left = ends_ms === null ? null : ends_ms - Math.max(now, at_ms);

  useEffect(() => {
    if (ends_ms === null) return;
    const rest = ends_ms - Date.now();
    if (rest <= 0) {
      void askSession();
      return;
    }
    // Timers longer than 24 days fire at once; a day is soon enough to look again.
    const next = rest > WARN_MS ? Math.min(rest - WARN_MS, 86_400_000) : Math.min(rest, 15_000);
    const timer = setTimeout(() => setNow(Date.now()), next + 50);
    return () => clearTimeout(timer);
  }, [ends_ms, now]);

  if (left === null || left > WARN_MS || left <= 0) return null;
  return Math.ceil(left / 60_000);
}
