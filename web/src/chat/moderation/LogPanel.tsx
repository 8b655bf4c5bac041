import type { ChatRoomState, ModerationDeed } from "lakh-client";
import {
  Archive,
  Ban,
  DoorOpen,
  Flag,
  MicOff,
  ScrollText,
  ShieldHalf,
  type LucideIcon,
} from "lucide-react";
import { useCallback } from "react";
import { useNow } from "../../app/useNow.ts";
import { Empty } from "../../ui/Empty.tsx";
import { Spinner } from "../../ui/Spinner.tsx";
import { fullTime, shortTime } from "../model/times.ts";
import { SidePanel } from "../SidePanel.tsx";
import styles from "../SidePanel.module.css";
import { useSession } from "../useChat.ts";
import { ShowMore } from "../ShowMore.tsx";
import { usePages } from "../usePages.ts";
import { deedText } from "./deeds.ts";
import own from "./Moderation.module.css";

const ICONS: Partial<Record<string, LucideIcon>> = {
  kick: DoorOpen,
  ban: Ban,
  unban: Ban,
  mute: MicOff,
  unmute: MicOff,
  role: ShieldHalf,
  archive: Archive,
  unarchive: Archive,
  close_report: Flag,
};

/** What moderators did in the room, the newest first. */
export function LogPanel({ state, onClose }: { state: ChatRoomState; onClose: () => void }) {
  const { chat } = useSession();
  const { id: room } = state;
  const load = useCallback(
    async (cursor: string | undefined) => {
      const page = await chat.moderation.log({ room, ...(cursor ? { cursor } : {}) });
      return { items: page.entries, cursor: page.cursor };
    },
    [chat, room],
  );
  const pages = usePages<ModerationDeed>(load);
  const { items } = pages;
  return (
    <SidePanel title="Moderation log" onClose={onClose}>
      <div className={styles.scroll}>
        {items === null && (
          <div className={styles.loading}>
            <Spinner label="Loading the log…" />
          </div>
        )}
        {items?.length === 0 && (
          <Empty icon={<ScrollText size={24} aria-hidden />} title="Nothing was done yet">
            Who was muted, banned or given a role is written down here.
          </Empty>
        )}
        <ul className={own.deeds} aria-label="What was done">
          {items?.map((deed) => (
            <Deed key={deed.id} deed={deed} />
          ))}
        </ul>
        <ShowMore pages={pages} />
      </div>
    </SidePanel>
  );
}

function Deed({ deed }: { deed: ModerationDeed }) {
  const now = useNow();
  const Icon = ICONS[deed.kind] ?? ScrollText;
  return (
    <li className={own.deed}>
      <Icon size={16} aria-hidden />
      <span className={own.deedText}>
        <strong>{deed.by.name}</strong> {deedText(deed)}
      </span>
      <time
        className={own.small}
        dateTime={new Date(deed.time).toISOString()}
        title={fullTime(deed.time)}
      >
        {shortTime(deed.time, now)}
      </time>
    </li>
  );
}
