import type { ChatRoomState, NotifyLevel } from "lakh-client";
import {
  Archive,
  ArchiveRestore,
  Bell,
  BellOff,
  AtSign,
  EllipsisVertical,
  Link2,
  LogOut,
  Pin,
  Settings2,
} from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { Button } from "../ui/Button.tsx";
import { copyText } from "../ui/CopyButton.tsx";
import { Field } from "../ui/Field.tsx";
import { IconButton } from "../ui/IconButton.tsx";
import { Menu, MenuChoice, MenuItem, MenuLine } from "../ui/Menu.tsx";
import { Modal } from "../ui/Modal.tsx";
import { mayAct } from "./model/rights.ts";
import styles from "./NewRoom.module.css";
import type { Panel } from "./panel.ts";
import { roomPath } from "./paths.ts";
import { useChat, useSession } from "./useChat.ts";

interface RoomMenuProps {
  state: ChatRoomState;
  onPanel: (panel: Panel | null) => void;
}

const LEVELS = [
  { value: "all", label: "All messages", icon: <Bell size={16} aria-hidden /> },
  { value: "mentions", label: "Mentions alone", icon: <AtSign size={16} aria-hidden /> },
  { value: "none", label: "Nothing", icon: <BellOff size={16} aria-hidden /> },
] as const;

/** What can be done with a room as a whole. */
export function RoomMenu({ state, onPanel }: RoomMenuProps) {
  const session = useSession();
  const features = useChat((now) => now.features);
  const [, navigate] = useLocation();
  const [changing, setChanging] = useState(false);
  const { id: room, info } = state;
  const { chat } = session;

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
  const archived = info?.archived === true;
  const archive = () =>
    void session.attempt(
      () => chat.room.archive({ room, archived: !archived }),
      archived ? "The room is open again" : "Archived",
    );

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
            Name and topic
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
        {features.has("room:archive") && mayAct(info, "archive") && (
          <MenuItem
            icon={
              archived ? (
                <ArchiveRestore size={16} aria-hidden />
              ) : (
                <Archive size={16} aria-hidden />
              )
            }
            onSelect={archive}
          >
            {archived ? "Open again" : "Archive"}
          </MenuItem>
        )}
        <MenuLine />
        <MenuItem danger icon={<LogOut size={16} aria-hidden />} onSelect={leave}>
          Leave room
        </MenuItem>
      </Menu>
      {changing && <ChangeRoom state={state} onClose={() => setChanging(false)} />}
    </>
  );
}

function ChangeRoom({ state, onClose }: { state: ChatRoomState; onClose: () => void }) {
  const session = useSession();
  const { id: room, info } = state;
  const [name, setName] = useState(info?.name ?? room);
  const [topic, setTopic] = useState(info?.topic ?? "");
  const save = async () => {
    const fields = { room, name: name.trim(), topic: topic.trim() || null };
    if (await session.attempt(() => session.chat.room.set(fields))) onClose();
  };
  return (
    <Modal open onClose={onClose} title="Name and topic">
      <form
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() !== "") void save();
        }}
      >
        <Field label="Name" value={name} onChange={(event) => setName(event.target.value)} />
        <Field
          label="Topic"
          value={topic}
          placeholder="What it is about"
          onChange={(event) => setTopic(event.target.value)}
        />
        <div className={styles.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="solid" disabled={name.trim() === ""}>
            Save
          </Button>
        </div>
      </form>
    </Modal>
  );
}
