import { LakhError, type ChatReport, type ChatRoomState } from "lakh-client";
import { ShieldCheck } from "lucide-react";
import { useCallback, useEffect, useState } from "react";
import { useLocation } from "wouter";
import { useNow } from "../../app/useNow.ts";
import { Avatar } from "../../ui/Avatar.tsx";
import { Button } from "../../ui/Button.tsx";
import { Choice } from "../../ui/Choice.tsx";
import { Confirm } from "../../ui/Confirm.tsx";
import { Empty } from "../../ui/Empty.tsx";
import { Field } from "../../ui/Field.tsx";
import { Spinner } from "../../ui/Spinner.tsx";
import { plainText } from "../model/text.ts";
import { shortTime } from "../model/times.ts";
import { messagePath } from "../paths.ts";
import { SidePanel } from "../SidePanel.tsx";
import styles from "../SidePanel.module.css";
import { useChat, useSession } from "../useChat.ts";
import { ShowMore } from "../ShowMore.tsx";
import { usePages } from "../usePages.ts";
import own from "./Moderation.module.css";

type Where = "here" | "all";
type State = "open" | "closed";

const STATES = [
  { value: "open", label: "Open" },
  { value: "closed", label: "Closed" },
] as const;
const PLACES = [
  { value: "here", label: "This room" },
  { value: "all", label: "All rooms" },
] as const;

/** What people have reported, for those who may see it. */
export function ReportsPanel({ state, onClose }: { state: ChatRoomState; onClose: () => void }) {
  const { chat } = useSession();
  const [where, setWhere] = useState<Where>("here");
  const [which, setWhich] = useState<State>("open");
  const [round, setRound] = useState(0);
  const { id } = state;
  const load = useCallback(
    async (cursor: string | undefined) => {
      const room = where === "here" ? { room: id } : {};
      const page = await chat.report.list({ ...room, state: which, ...(cursor ? { cursor } : {}) });
      return { items: page.reports, cursor: page.cursor };
    },
    // `round`: asked anew when a report comes in.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [chat, id, where, which, round],
  );
  const pages = usePages<ChatReport>(load);
  const { items, change } = pages;
  useEffect(() => chat.on("report:new", () => setRound((old) => old + 1)), [chat]);
  const drop = (report: string) => change((all) => all.filter((one) => one.id !== report));

  return (
    <SidePanel title="Reports" onClose={onClose}>
      <div className={styles.where}>
        <Choice label="Which" value={which} choices={STATES} onChoose={setWhich} />
      </div>
      <div className={styles.where}>
        <Choice label="Where" value={where} choices={PLACES} onChoose={setWhere} />
      </div>
      <div className={styles.scroll}>
        {items === null && (
          <div className={styles.loading}>
            <Spinner label="Loading reports…" />
          </div>
        )}
        {items?.length === 0 && (
          <Empty
            icon={<ShieldCheck size={24} aria-hidden />}
            title={which === "open" ? "Nothing to look at" : "Nothing was closed yet"}
          >
            {which === "open" ? "Messages that people report are listed here." : undefined}
          </Empty>
        )}
        <ul className={own.list} aria-label={which === "open" ? "Open reports" : "Closed reports"}>
          {items?.map((one) => (
            <Report
              key={one.id}
              report={one}
              named={where === "all"}
              onClosed={() => drop(one.id)}
            />
          ))}
        </ul>
        <ShowMore pages={pages} />
      </div>
    </SidePanel>
  );
}

interface ReportProps {
  report: ChatReport;
  named: boolean;
  onClosed: () => void;
}

function Report({ report, named, onClosed }: ReportProps) {
  const now = useNow();
  const [, navigate] = useLocation();
  const [asking, setAsking] = useState<"removed" | "dismissed" | null>(null);
  const name = useChat(
    ({ directory }) => directory.rooms.find(({ id }) => id === report.room)?.name,
  );
  const { author, by, reason, text, time, outcome, note, closed, room, seq, thread } = report;
  return (
    <li className={own.item}>
      <span className={own.head}>
        <Avatar user={author} size="sm" />
        <span className={own.texts}>
          <span className={own.name}>{author.name}</span>
          <span className={own.small}>
            reported by {by.name}, {shortTime(time, now)}
            {named && ` in ${name ?? room}`}
          </span>
        </span>
      </span>
      <p className={own.quote}>{plainText(text) || "A file"}</p>
      <p className={own.reason}>
        <strong>Why:</strong> {reason}
      </p>
      {closed && (
        <p className={own.reason}>
          <strong>{outcomeText(outcome)}</strong> by {closed.by.name}, {shortTime(closed.at, now)}
          {note && `: ${note}`}
        </p>
      )}
      <span className={own.acts}>
        <Button look="plain" size="sm" onClick={() => navigate(messagePath(room, seq, thread))}>
          Show message
        </Button>
        {report.state === "open" && (
          <>
            <Button look="plain" size="sm" onClick={() => setAsking("dismissed")}>
              Dismiss
            </Button>
            <Button look="danger" size="sm" onClick={() => setAsking("removed")}>
              Delete message
            </Button>
          </>
        )}
      </span>
      {asking && (
        <CloseReport
          report={report}
          outcome={asking}
          onDone={() => {
            setAsking(null);
            onClosed();
          }}
          onCancel={() => setAsking(null)}
        />
      )}
    </li>
  );
}

interface CloseReportProps {
  report: ChatReport;
  outcome: "removed" | "dismissed";
  onDone: () => void;
  onCancel: () => void;
}

function CloseReport({ report, outcome, onDone, onCancel }: CloseReportProps) {
  const session = useSession();
  const [note, setNote] = useState("");
  const { id, room, seq, thread } = report;
  const { chat } = session;
  const removes = outcome === "removed";
  const close = async () => {
    const done = await session.attempt(async () => {
      if (removes) await remove();
      await chat.report.close({ id, outcome, ...(note.trim() ? { note: note.trim() } : {}) });
    }, "The report is closed");
    if (done) onDone();
  };
  const remove = async () => {
    try {
      await chat.message.delete({ room, seq, ...(thread === undefined ? {} : { thread }) });
    } catch (error) {
      // Somebody else was faster: then only the report is left.
      if (!(error instanceof LakhError) || error.code !== "not_found") throw error;
    }
  };
  return (
    <Confirm
      title={removes ? "Delete the message?" : "Dismiss the report?"}
      action={removes ? "Delete and close" : "Dismiss"}
      onConfirm={close}
      onClose={onCancel}
      more={
        <Field
          label="Note for other moderators (optional)"
          value={note}
          maxLength={1000}
          onChange={(event) => setNote(event.target.value)}
        />
      }
    >
      {removes
        ? `What ${report.author.name} wrote is taken away for everybody, and the report is closed.`
        : "The message stays, and the report is closed."}
    </Confirm>
  );
}

function outcomeText(outcome: string | undefined): string {
  if (outcome === "removed") return "Message deleted";
  if (outcome === "dismissed") return "Dismissed";
  return outcome ?? "Closed";
}
