import type { ChatMember, ChatRoomState } from "lakh-client";
import { EllipsisVertical, UserPlus } from "lucide-react";
import { useCallback, useEffect, useState } from "react";
import { Avatar } from "../ui/Avatar.tsx";
import { Button } from "../ui/Button.tsx";
import { IconButton } from "../ui/IconButton.tsx";
import { Menu, MenuItem, MenuLine } from "../ui/Menu.tsx";
import { Modal } from "../ui/Modal.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { mayAct, mayActOn } from "./model/rights.ts";
import { PeoplePicker } from "./PeoplePicker.tsx";
import { useActs } from "./roomContext.ts";
import { SidePanel } from "./SidePanel.tsx";
import styles from "./SidePanel.module.css";
import { useChat, useSession } from "./useChat.ts";

interface PanelProps {
  state: ChatRoomState;
  onClose: () => void;
}

/** Who is in the room, with their roles, and what may be done about them. */
export function MembersPanel({ state, onClose }: PanelProps) {
  const session = useSession();
  const features = useChat((now) => now.features);
  const [inviting, setInviting] = useState(false);
  const { members, cursor, load, reload } = useMembers(state);
  const mayInvite = features.has("member:invite") && mayAct(state.info, "invite");
  const invite = async (people: string[]) => {
    const { id } = state;
    const done = await session.attempt(
      () => session.chat.member.invite({ room: id, people }),
      people.length === 1 ? "Invitation sent" : "Invitations sent",
    );
    if (done) setInviting(false);
  };

  return (
    <SidePanel title="Members" note={state.info?.members} onClose={onClose}>
      <div className={styles.scroll}>
        {mayInvite && (
          <Button look="plain" size="sm" onClick={() => setInviting(true)}>
            <UserPlus size={16} aria-hidden /> Invite people
          </Button>
        )}
        {members === null ? (
          <div className={styles.loading}>
            <Spinner label="Loading members…" />
          </div>
        ) : (
          <ul className={styles.people}>
            {members.map((member) => (
              <Member key={member.id} member={member} state={state} onDone={reload} />
            ))}
          </ul>
        )}
        {cursor !== null && (
          <Button look="plain" size="sm" onClick={() => void load(cursor)}>
            Show more
          </Button>
        )}
      </div>
      <Modal open={inviting} onClose={() => setInviting(false)} title="Invite people">
        <PeoplePicker label="Invite" onDone={(people) => void invite(people)} />
      </Modal>
    </SidePanel>
  );
}

/** The members by the server; where it has no list of them, who is here now. */
function useMembers({ id, info, people }: ChatRoomState) {
  const session = useSession();
  const listed = useChat((state) => state.features.has("member:list"));
  const [page, setPage] = useState<{ members: ChatMember[]; cursor: string | null } | null>(null);
  const [round, setRound] = useState(0);
  const load = useCallback(
    (cursor: string | null) =>
      session.attempt(async () => {
        const from = cursor === null ? {} : { cursor };
        const next = await session.chat.member.list({ room: id, limit: 100, ...from });
        setPage((old) => ({
          members: cursor === null ? next.members : [...(old?.members ?? []), ...next.members],
          cursor: next.cursor,
        }));
      }),
    [session, id],
  );
  useEffect(() => {
    if (listed) void load(null);
  }, [listed, load, round, info?.members]);

  const reload = () => setRound(round + 1);
  if (listed) {
    const members = page?.members.map((one) => ({
      ...one,
      online: people.has(one.id) || one.online,
    }));
    return { members: members ?? null, cursor: page?.cursor ?? null, load, reload };
  }
  const here = [...people.values()].map((one): ChatMember => ({ ...one, online: true }));
  const sorted = here.sort((a, b) => a.name.localeCompare(b.name));
  return { members: sorted, cursor: null, load, reload };
}

interface MemberProps {
  member: ChatMember;
  state: ChatRoomState;
  onDone: () => void;
}

const WEEK_S = 7 * 86_400;
const HOUR_S = 3600;

function Member({ member, state, onDone }: MemberProps) {
  const { showPerson } = useActs();
  const myId = useChat((now) => now.me.id);
  const { role, online, status } = member;
  return (
    <li className={styles.person}>
      <button type="button" className={styles.personButton} onClick={() => showPerson(member.id)}>
        <Avatar user={member} size="sm" online={online} away={status === "away"} />
        <span className={styles.personName}>{member.name}</span>
        {member.id === myId && <span className={styles.you}>you</span>}
        {role && role !== "member" && <span className={styles.role}>{role}</span>}
        {member.muted_until !== undefined && <span className={styles.role}>muted</span>}
      </button>
      {member.id !== myId && <MemberMenu member={member} state={state} onDone={onDone} />}
    </li>
  );
}

function MemberMenu({ member, state, onDone }: MemberProps) {
  const session = useSession();
  const features = useChat((now) => now.features);
  const { id: room, info } = state;
  const { id: person, name, role = "member" } = member;
  const may = (request: Parameters<typeof features.has>[0], act: Parameters<typeof mayActOn>[1]) =>
    features.has(request) && mayActOn(info, act, role);
  const does = (act: () => Promise<unknown>, said: string) => () => {
    void session.attempt(act, said).then(onDone);
  };
  const { chat } = session;
  const items = [
    may("member:role", "set_role") &&
      (role === "moderator"
        ? ["Take the moderator’s role", () => chat.member.role({ room, person, role: "member" })]
        : ["Make moderator", () => chat.member.role({ room, person, role: "moderator" })]),
    may("member:role", "set_role") &&
      role !== "owner" && ["Make owner", () => chat.member.role({ room, person, role: "owner" })],
    may("member:mute", "mute") &&
      (member.muted_until === undefined
        ? ["Mute for an hour", () => chat.member.mute({ room, person, seconds: HOUR_S })]
        : ["Let speak again", () => chat.member.mute({ room, person, seconds: null })]),
  ].filter((item) => item !== false) as [string, () => Promise<unknown>][];
  const harsh = [
    may("member:kick", "kick") && [
      "Take out of the room",
      () => chat.member.kick({ room, person }),
    ],
    may("member:ban", "ban") && [
      "Ban for a week",
      () => chat.member.ban({ room, person, seconds: WEEK_S }),
    ],
    may("member:ban", "ban") && ["Ban for good", () => chat.member.ban({ room, person })],
  ].filter((item) => item !== false) as [string, () => Promise<unknown>][];
  if (items.length + harsh.length === 0) return null;
  return (
    <Menu
      trigger={
        <IconButton label={`Act on ${name}`}>
          <EllipsisVertical size={17} aria-hidden />
        </IconButton>
      }
    >
      {items.map(([label, act]) => (
        <MenuItem key={label} onSelect={does(act, `${label}: ${name}`)}>
          {label}
        </MenuItem>
      ))}
      {items.length > 0 && harsh.length > 0 && <MenuLine />}
      {harsh.map(([label, act]) => (
        <MenuItem key={label} danger onSelect={does(act, `${label}: ${name}`)}>
          {label}
        </MenuItem>
      ))}
    </Menu>
  );
}
