import type { ChatRoomState } from "lakh-client";
import { ArrowLeft, Pin, Search, Users } from "lucide-react";
import { Link } from "wouter";
import { useNow } from "../app/useNow.ts";
import { IconButton } from "../ui/IconButton.tsx";
import { directPartner } from "./model/directory.ts";
import { statusText } from "./model/statuses.ts";
import type { Panel } from "./panel.ts";
import styles from "./RoomHeader.module.css";
import { RoomMenu } from "./RoomMenu.tsx";
import { useChat } from "./useChat.ts";
import { useStatus } from "./useStatus.ts";

interface RoomHeaderProps {
  state: ChatRoomState;
  panel: Panel | null;
  onPanel: (panel: Panel | null) => void;
  onLive: () => void;
}

export function RoomHeader({ state, panel, onPanel, onLive }: RoomHeaderProps) {
  const features = useChat((now) => now.features);
  const { info, id, count, people } = state;
  const myId = useChat((now) => now.me.id);
  const partner = info && directPartner(info, myId);
  const status = statusText(useStatus(partner), useNow());
  const online = Math.max(count, people.size);
  const toggle = (kind: "members" | "pins" | "search") =>
    onPanel(panel?.kind === kind ? null : { kind });
  return (
    <header className={styles.head}>
      <Link href="/chat" className={styles.back} aria-label="All rooms">
        <ArrowLeft size={22} aria-hidden />
      </Link>
      <div className={styles.titles}>
        <h1 className={styles.name}>{info?.name ?? id}</h1>
        {(status ?? info?.topic) && <p className={styles.topic}>{status ?? info?.topic}</p>}
      </div>
      {online > 0 && (
        <button
          type="button"
          className={styles.people}
          aria-expanded={panel?.kind === "members"}
          onClick={() => toggle("members")}
        >
          <Users size={18} aria-hidden />
          {online}
          <span className={styles.word}>online</span>
        </button>
      )}
      {features.has("pin:list") && (
        <IconButton
          label="Pinned messages"
          aria-expanded={panel?.kind === "pins"}
          className={styles.wide}
          onClick={() => toggle("pins")}
        >
          <Pin size={18} aria-hidden />
        </IconButton>
      )}
      {features.has("message:search") && (
        <IconButton
          label="Search"
          aria-expanded={panel?.kind === "search"}
          onClick={() => toggle("search")}
        >
          <Search size={19} aria-hidden />
        </IconButton>
      )}
      <RoomMenu state={state} onPanel={onPanel} onLive={onLive} />
    </header>
  );
}
