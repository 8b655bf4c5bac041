import type { LogState } from "lakh-client";
import { useState } from "react";
import { Hidden } from "../ui/Hidden.tsx";
import { plainText } from "./model/text.ts";
import { useChat } from "./useChat.ts";

/** More than this at once is told as a number. */
const READ_OUT = 3;

/** Reads new messages of others to screen readers; history that is scrolled to stays silent. */
export function Announcer({ log }: { log: LogState }) {
  const myId = useChat((state) => state.me.id);
  const { last } = log;
  const [told, setTold] = useState<{ seq: number | null; text: string }>({ seq: null, text: "" });

  if (log.loaded && told.seq !== last) {
    const since = told.seq;
    const fresh =
      since === null ? [] : log.messages.filter((m) => m.seq > since && m.from.id !== myId);
    const text =
      fresh.length > READ_OUT
        ? `${fresh.length} new messages`
        : fresh.map((m) => `${m.from.name}: ${plainText(m.text)}`).join(". ");
    setTold({ seq: last, text: text || told.text });
  }
  return <Hidden aria-live="polite">{told.text}</Hidden>;
}
