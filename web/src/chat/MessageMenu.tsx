import type { ChatMessage } from "lakh-client";
import {
  Copy,
  EllipsisVertical,
  Eraser,
  Flag,
  Forward,
  History,
  Link2,
  MailMinus,
  MessageSquareText,
  Pencil,
  Pin,
  PinOff,
  Reply,
  SmilePlus,
  Trash2,
} from "lucide-react";
import { copyText } from "../ui/CopyButton.tsx";
import { IconButton } from "../ui/IconButton.tsx";
import { Menu, MenuItem, MenuLine } from "../ui/Menu.tsx";
import { EmojiPicker } from "./EmojiPicker.tsx";
import styles from "./Message.module.css";
import { mayAct } from "./model/rights.ts";
import { messagePath } from "./paths.ts";
import { useActs } from "./roomContext.ts";
import { useChat, useSession } from "./useChat.ts";

interface MessageMenuProps {
  message: ChatMessage;
  /** Hears whether one of its lists is open: then it has to stay. */
  onHold: (held: boolean) => void;
}

/** What can be done with a message: stands over its right end while it is pointed at. */
export function MessageMenu({ message, onHold }: MessageMenuProps) {
  const session = useSession();
  const acts = useActs();
  const features = useChat((state) => state.features);
  const { room, thread } = acts;
  const react = (emoji: string) => void session.attempt(() => room.react(message, emoji));
  const deleted = message.deleted !== undefined;
  const { info } = room.state;

  return (
    <div className={styles.tools} role="group" aria-label="Act on this message">
      {features.has("reaction:add") && mayAct(info, "react") && !deleted && (
        <EmojiPicker
          onPick={react}
          onOpen={onHold}
          trigger={
            <IconButton label="React" className={styles.tool}>
              <SmilePlus size={17} aria-hidden />
            </IconButton>
          }
        />
      )}
      {mayAct(info, "send") && !deleted && (
        <IconButton label="Reply" className={styles.tool} onClick={() => acts.reply(message)}>
          <Reply size={17} aria-hidden />
        </IconButton>
      )}
      {(mayAct(info, "send") || message.replies) && thread === undefined && !deleted && (
        <IconButton
          label="Reply in thread"
          className={styles.tool}
          onClick={() => acts.openThread(message.seq)}
        >
          <MessageSquareText size={17} aria-hidden />
        </IconButton>
      )}
      <Menu
        onOpen={onHold}
        trigger={
          <IconButton label="More" className={styles.tool}>
            <EllipsisVertical size={17} aria-hidden />
          </IconButton>
        }
      >
        <MoreItems message={message} />
      </Menu>
    </div>
  );
}

function MoreItems({ message }: { message: ChatMessage }) {
  const session = useSession();
  const acts = useActs();
  const features = useChat((state) => state.features);
  const me = useChat((state) => state.me);
  const { room, thread } = acts;
  const { info } = room.state;
  const own = message.from.id === me.id;
  const deleted = message.deleted !== undefined;
  const may = (act: Parameters<typeof mayAct>[1]) => mayAct(info, act);
  const mayDelete = features.has("message:delete") && !deleted && (own || may("delete_any"));
  const mayPurge =
    features.has("message:purge") && may("purge") && message.deleted?.purged !== true;
  const copyLink = async () => {
    const path = messagePath(room.room, message.seq, thread);
    const done = await copyText(new URL(path, window.location.origin).href);
    session.say(done ? "Link copied" : "The browser does not let pages copy here", !done);
  };

  return (
    <>
      {own && !deleted && features.has("message:edit") && may("edit_own") && (
        <MenuItem icon={<Pencil size={16} aria-hidden />} onSelect={() => acts.edit(message)}>
          Edit
        </MenuItem>
      )}
      {!deleted && (
        <MenuItem
          icon={<Copy size={16} aria-hidden />}
          onSelect={() => void copyText(message.text)}
        >
          Copy text
        </MenuItem>
      )}
      <MenuItem icon={<Link2 size={16} aria-hidden />} onSelect={() => void copyLink()}>
        Copy link
      </MenuItem>
      {features.has("message:edits") &&
        ((message.edits !== undefined && (own || may("delete_any"))) ||
          (message.deleted?.purged === false && may("delete_any"))) && (
          <MenuItem icon={<History size={16} aria-hidden />} onSelect={() => acts.history(message)}>
            Edit history
          </MenuItem>
        )}
      {features.has("message:forward") && may("forward") && !deleted && (
        <MenuItem icon={<Forward size={16} aria-hidden />} onSelect={() => acts.forward(message)}>
          Forward
        </MenuItem>
      )}
      {features.has("message:pin") && may("pin") && !deleted && (
        <MenuItem
          icon={message.pinned ? <PinOff size={16} aria-hidden /> : <Pin size={16} aria-hidden />}
          onSelect={() =>
            void session.attempt(() => room.pin(message, message.pinned === undefined))
          }
        >
          {message.pinned ? "Unpin" : "Pin"}
        </MenuItem>
      )}
      {features.has("receipt:unread") && info?.mine && thread === undefined && (
        <MenuItem
          icon={<MailMinus size={16} aria-hidden />}
          onSelect={() =>
            void session.attempt(
              () => session.markUnread(room.room, message.seq),
              "Marked as unread from here",
            )
          }
        >
          Mark unread from here
        </MenuItem>
      )}
      {!own && features.has("report:send") && may("report") && (
        <MenuItem icon={<Flag size={16} aria-hidden />} onSelect={() => acts.report(message)}>
          Report
        </MenuItem>
      )}
      {(mayDelete || mayPurge) && <MenuLine />}
      {mayDelete && (
        <MenuItem
          danger
          icon={<Trash2 size={16} aria-hidden />}
          onSelect={() => acts.remove(message)}
        >
          Delete
        </MenuItem>
      )}
      {mayPurge && (
        <MenuItem
          danger
          icon={<Eraser size={16} aria-hidden />}
          onSelect={() => acts.purge(message)}
        >
          Purge
        </MenuItem>
      )}
    </>
  );
}
