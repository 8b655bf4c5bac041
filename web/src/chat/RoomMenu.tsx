import type { ChatRoomState, NotifyLevel } from "lakh-client";
import {
  AtSign,
  Bell,
  BellOff,
  CalendarClock,
  EllipsisVertical,
  Flag,
  Link2,
  LogOut,
  PartyPopper,
  Pin,
  ScrollText,
  Settings2,
} from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { Confirm } from "../ui/Confirm.tsx";
import { copyText } from "../ui/CopyButton.tsx";
import { IconButton } from "../ui/IconButton.tsx";
import { Menu, MenuChoice, MenuItem, MenuLine } from "../ui/Menu.tsx";
import { isVisitor, mayAct } from "./model/rights.ts";
import type { Panel } from "./panel.ts";
import { roomPath } from "./paths.ts";
import { RoomSettings } from "./settings/RoomSettings.tsx";
import { useChat, useSession } from "./useChat.ts";

interface RoomMenuProps {
  state: ChatRoomState;
  onPanel: (panel: Panel | null) => void;
  onLive: () => void;
}

const LEVELS = [
  { value: "all", label: "All messages", icon: <Bell size={16} aria-hidden /> },
  { value: "mentions", label: "Mentions alone", icon: <AtSign size={16} aria-hidden /> },
  { value: "none", label: "Nothing", icon: <BellOff size={16} aria-hidden /> },
] as const;

/** What can be done with a room as a whole. */
export function RoomMenu({ state, onPanel, onLive }: RoomMenuProps) {
  const session = useSession();
  const features = useChat((now) => now.features);
  const [, navigate] = useLocation();
  const [changing, setChanging] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const { id: room, info } = state;
  const { chat } = session;

  const moderates = mayAct(info, "see_reports") || mayAct(info, "see_log");
  const copyLink = async () => {
    const done = await copyText(new URL(roomPath(room), window.location.origin).href);
    session.say(done ? "Link copied" : "The link is in the browser’s address bar");
  };
  const leave = () => {
    navigate("/chat");
    void session.leave(room);
  };
  const notify = (level: NotifyLevel) =>
    void session.attempt(async () => {
      await chat.room.notify({ room, notify: level });
      session.setNotify(room, level);
    });
  return (
    <>
      <Menu
        trigger={
          <IconButton label="Room menu">
            <EllipsisVertical size={20} aria-hidden />
          </IconButton>
        }
      >
        {features.has("room:notify") && info?.mine && (
          <>
            <MenuChoice
              label="Notify me of"
              value={info.mine.notify}
              choices={LEVELS}
              onChoose={notify}
            />
            <MenuLine />
          </>
        )}
        {features.has("room:set") && mayAct(info, "change_room") && (
          <MenuItem icon={<Settings2 size={16} aria-hidden />} onSelect={() => setChanging(true)}>
            Room settings
          </MenuItem>
        )}
        {features.has("pin:list") && (
          <MenuItem icon={<Pin size={16} aria-hidden />} onSelect={() => onPanel({ kind: "pins" })}>
            Pinned messages
          </MenuItem>
        )}
        <MenuItem icon={<Link2 size={16} aria-hidden />} onSelect={() => void copyLink()}>
          Copy link to room
        </MenuItem>
        {features.has("scheduled:list") && mayAct(info, "schedule") && (
          <MenuItem
            icon={<CalendarClock size={16} aria-hidden />}
            onSelect={() => onPanel({ kind: "scheduled" })}
          >
            Scheduled messages
          </MenuItem>
        )}
        {features.has("live:react") && mayAct(info, "live") && (
          <MenuItem icon={<PartyPopper size={16} aria-hidden />} onSelect={onLive}>
            Live reactions
          </MenuItem>
        )}
        {moderates && <MenuLine />}
        {features.has("report:list") && mayAct(info, "see_reports") && (
          <MenuItem
            icon={<Flag size={16} aria-hidden />}
            onSelect={() => onPanel({ kind: "reports" })}
          >
            Reports
          </MenuItem>
        )}
        {features.has("moderation:log") && mayAct(info, "see_log") && (
          <MenuItem
            icon={<ScrollText size={16} aria-hidden />}
            onSelect={() => onPanel({ kind: "log" })}
          >
            Moderation log
          </MenuItem>
        )}
        {!isVisitor(info) && (
          <>
            <MenuLine />
            <MenuItem
              danger
              icon={<LogOut size={16} aria-hidden />}
              // Back into any other room one comes by oneself.
              onSelect={() => (info?.kind === "private" ? setLeaving(true) : leave())}
            >
              Leave room
            </MenuItem>
          </>
        )}
      </Menu>
      {leaving && (
        <Confirm
          title="Leave the room?"
          action="Leave"
          onConfirm={() => {
            leave();
            return Promise.resolve();
          }}
          onClose={() => setLeaving(false)}
        >
          “{info?.name ?? room}” is private: you can come back only if somebody invites you.
        </Confirm>
      )}
      {changing && <RoomSettings state={state} onClose={() => setChanging(false)} />}
    </>
  );
}
