import type { ChatMember, ChatRoomState } from "lakh-client";
import { EllipsisVertical, UserPlus } from "lucide-react";
import { useCallback, useEffect, useState } from "react";
import { Avatar } from "../ui/Avatar.tsx";
import { Button } from "../ui/Button.tsx";
import { IconButton } from "../ui/IconButton.tsx";
import { Choice } from "../ui/Choice.tsx";
import { Menu, MenuItem, MenuLine } from "../ui/Menu.tsx";
import { Modal } from "../ui/Modal.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { mayAct, mayActOn } from "./model/rights.ts";
import { BansList } from "./moderation/BansList.tsx";
import { PenaltyDialog, type Penalty } from "./moderation/PenaltyDialog.tsx";
import { fullTime } from "./model/times.ts";
import { PeoplePicker } from "./PeoplePicker.tsx";
import { useActs } from "./roomContext.ts";
import { SidePanel } from "./SidePanel.tsx";
import styles from "./SidePanel.module.css";
import { useChat, useSession } from "./useChat.ts";

type View = "members" | "bans";

const VIEWS = [
  { value: "members", label: "Members" },
  { value: "bans", label: "Banned" },
] as const;

interface PanelProps {
  state: ChatRoomState;
  onClose: () => void;
}

/** Who is in the room, with their roles, and what may be done about them. */
export function MembersPanel({ state, onClose }: PanelProps) {
  const session = useSession();
  const features = useChat((now) => now.features);
  const [inviting, setInviting] = useState(false);
  const [view, setView] = useState<View>("members");
  const mayBan = features.has("ban:list") && mayAct(state.info, "ban");
  const waiting = useWaiting(state, mayAct(state.info, "invite"));
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
      {mayBan && (
        <div className={styles.where}>
          <Choice label="Whom to show" value={view} choices={VIEWS} onChoose={setView} />
        </div>
      )}
      {view === "bans" ? (
        <div className={styles.scroll}>
          <BansList state={state} />
        </div>
      ) : (
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
          {waiting.length > 0 && (
            <>
              <h3 className={styles.subtitle}>Not members yet</h3>
              <ul className={styles.people} aria-label="Not members yet">
                {waiting.map((member) => (
                  <Member key={member.id} member={member} state={state} onDone={reload} />
                ))}
              </ul>
            </>
          )}
        </div>
      )}
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

/** Who is invited, or muted without being a member. */
function useWaiting({ id, info }: ChatRoomState, may: boolean): readonly ChatMember[] {
  const session = useSession();
  const [waiting, setWaiting] = useState<readonly ChatMember[]>([]);
  useEffect(() => {
    if (!may) return;
    let late = false;
    session.chat.member
      .list({ room: id, role: "guest", limit: 100 })
      .then(({ members }) => late || setWaiting(members))
      .catch(() => {
        // A room whose table of rights is another one: then they are not shown.
      });
    return () => {
      late = true;
    };
  }, [session, id, may, info?.members]);
  return may ? waiting : [];
}

interface MemberProps {
  member: ChatMember;
  state: ChatRoomState;
  onDone: () => void;
}

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
        {member.invited_by && <span className={styles.role}>invited</span>}
        {member.muted_until !== undefined && (
          <span className={styles.role} title={`until ${fullTime(member.muted_until)}`}>
            muted
          </span>
        )}
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
  const [asking, setAsking] = useState<Penalty | null>(null);
  const may = (request: Parameters<typeof features.has>[0], act: Parameters<typeof mayActOn>[1]) =>
    features.has(request) && mayActOn(info, act, role);
  const does = (act: () => Promise<unknown>, said: string) => () => {
    void session.attempt(act, said).then(onDone);
  };
  const { chat } = session;
  const items = [
    may("member:role", "set_role") &&
      !member.invited_by &&
      (role === "moderator" || role === "owner"
        ? ["Make member", () => chat.member.role({ room, person, role: "member" })]
        : ["Make moderator", () => chat.member.role({ room, person, role: "moderator" })]),
    may("member:role", "set_role") &&
      !member.invited_by &&
      role !== "owner" && ["Make owner", () => chat.member.role({ room, person, role: "owner" })],
    may("member:mute", "mute") &&
      member.muted_until !== undefined && [
        "Let speak again",
        () => chat.member.mute({ room, person, seconds: null }),
      ],
  ].filter((item) => item !== false) as [string, () => Promise<unknown>][];
  const harsh = [
    may("member:mute", "mute") && member.muted_until === undefined && ["mute", "Mute…"],
    may("member:kick", "kick") && !member.invited_by && ["kick", "Take out of the room…"],
    may("member:ban", "ban") && ["ban", "Ban…"],
  ].filter((item) => item !== false) as [Penalty, string][];
  if (items.length + harsh.length === 0) return null;
  return (
    <>
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
        {harsh.map(([kind, label]) => (
          <MenuItem key={kind} danger={kind !== "mute"} onSelect={() => setAsking(kind)}>
            {label}
          </MenuItem>
        ))}
      </Menu>
      {asking && (
        <PenaltyDialog
          kind={asking}
          member={member}
          room={room}
          onDone={() => {
            setAsking(null);
            onDone();
          }}
          onClose={() => setAsking(null)}
        />
      )}
    </>
  );
}
