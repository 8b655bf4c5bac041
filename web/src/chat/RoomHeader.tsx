import * as Popover from "@radix-ui/react-popover";
import { ArrowLeft, EllipsisVertical, Link2, LogOut, Users } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { Avatar } from "../ui/Avatar.tsx";
import { copyText } from "../ui/CopyButton.tsx";
import { Hidden } from "../ui/Hidden.tsx";
import { IconButton } from "../ui/IconButton.tsx";
import { Menu, MenuItem } from "../ui/Menu.tsx";
import type { RoomState } from "./model/room.ts";
import styles from "./RoomHeader.module.css";
import { useChat, useSession } from "./useChat.ts";

export function RoomHeader({ room }: { room: RoomState }) {
  return (
    <header className={styles.head}>
      <Link href="/chat" className={styles.back} aria-label="All rooms">
        <ArrowLeft size={22} aria-hidden />
      </Link>
      <h1 className={styles.name}>{room.info?.name ?? room.id}</h1>
      <People room={room} />
      <RoomMenu id={room.id} />
    </header>
  );
}

function People({ room }: { room: RoomState }) {
  const myId = useChat((state) => state.me.id);
  const people = [...room.people.values()].sort((a, b) => a.name.localeCompare(b.name));
  if (people.length === 0) return null;
  return (
    <Popover.Root>
      <Popover.Trigger className={styles.people}>
        <Users size={18} aria-hidden />
        {people.length}
        <span className={styles.word}>online</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          className={styles.popover}
          align="end"
          sideOffset={6}
          collisionPadding={8}
          aria-label="People online"
        >
          <h2 className={styles.popoverTitle}>Online in this room</h2>
          <ul className={styles.list}>
            {people.map((user) => (
              <li key={user.id} className={styles.person}>
                <Avatar user={user} size="sm" online />
                <span className={styles.personName}>{user.name}</span>
                {user.id === myId && <span className={styles.you}>you</span>}
              </li>
            ))}
          </ul>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

function RoomMenu({ id }: { id: string }) {
  const session = useSession();
  const [, navigate] = useLocation();
  const [said, setSaid] = useState("");

  const copyLink = async () => {
    const done = await copyText(window.location.href);
    setSaid(done ? "Link copied" : "The link is in the browser’s address bar");
  };
  const leave = () => {
    navigate("/chat");
    void session.leave(id);
  };
  return (
    <>
      <Menu
        trigger={
          <IconButton label="Room menu">
            <EllipsisVertical size={20} aria-hidden />
          </IconButton>
        }
      >
        <MenuItem icon={<Link2 size={16} aria-hidden />} onSelect={() => void copyLink()}>
          Copy link to room
        </MenuItem>
        <MenuItem icon={<LogOut size={16} aria-hidden />} onSelect={leave}>
          Leave room
        </MenuItem>
      </Menu>
      <Hidden role="status">{said}</Hidden>
    </>
  );
}
