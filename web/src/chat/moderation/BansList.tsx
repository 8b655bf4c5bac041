import type { ChatBan, ChatRoomState } from "lakh-client";
import { Ban } from "lucide-react";
import { useCallback } from "react";
import { Avatar } from "../../ui/Avatar.tsx";
import { Button } from "../../ui/Button.tsx";
import { Empty } from "../../ui/Empty.tsx";
import { Spinner } from "../../ui/Spinner.tsx";
import { fullTime } from "../model/times.ts";
import styles from "../SidePanel.module.css";
import { useSession } from "../useChat.ts";
import { ShowMore } from "../ShowMore.tsx";
import { usePages } from "../usePages.ts";
import own from "./Moderation.module.css";

/** Who may not come in, until when and why. */
export function BansList({ state }: { state: ChatRoomState }) {
  const session = useSession();
  const { chat } = session;
  const { id: room } = state;
  const load = useCallback(
    async (cursor: string | undefined) => {
      const page = await chat.ban.list({ room, ...(cursor ? { cursor } : {}) });
      return { items: page.bans, cursor: page.cursor };
    },
    [chat, room],
  );
  const pages = usePages<ChatBan>(load);
  const { items, change } = pages;
  const lift = async ({ user }: ChatBan) => {
    const act = () => chat.member.unban({ room, person: user.id });
    if (!(await session.attempt(act, `${user.name} may come back`))) return;
    change((all) => all.filter((one) => one.user.id !== user.id));
  };
  if (items === null) {
    return (
      <div className={styles.loading}>
        <Spinner label="Loading bans…" />
      </div>
    );
  }
  if (items.length === 0) {
    return <Empty icon={<Ban size={24} aria-hidden />} title="Nobody is banned" />;
  }
  return (
    <>
      <ul className={own.list} aria-label="Banned people">
        {items.map((ban) => (
          <li key={ban.user.id} className={own.item}>
            <span className={own.head}>
              <Avatar user={ban.user} size="sm" />
              <span className={own.texts}>
                <span className={own.name}>{ban.user.name}</span>
                <span className={own.small}>
                  {ban.until === undefined ? "for good" : `until ${fullTime(ban.until)}`}
                  {ban.by && `, by ${ban.by.name}`}
                </span>
              </span>
              <Button size="sm" onClick={() => void lift(ban)}>
                Lift ban
              </Button>
            </span>
            {ban.reason && <p className={own.reason}>{ban.reason}</p>}
          </li>
        ))}
      </ul>
      <ShowMore pages={pages} />
    </>
  );
}
