import type { ChatMessage } from "lakh-client";
import { useEffect, useState } from "react";
import { Modal } from "../../ui/Modal.tsx";
import { Spinner } from "../../ui/Spinner.tsx";
import { fullTime } from "../model/times.ts";
import { useSession } from "../useChat.ts";
import own from "./Moderation.module.css";

interface Version {
  text: string;
  time: number;
}

/** What a message said before it was edited. */
export function HistoryDialog({ message, onClose }: { message: ChatMessage; onClose: () => void }) {
  const session = useSession();
  const [edits, setEdits] = useState<readonly Version[] | null>(null);
  const { room, seq, thread } = message;
  useEffect(() => {
    const fields = { room, seq, ...(thread === undefined ? {} : { thread }) };
    void session
      .attempt(async () => setEdits((await session.chat.message.edits(fields)).edits))
      .then((done) => done || onClose());
    // Once: whoever closes it has seen it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [session, room, seq, thread]);
  const now: Version = { text: message.text, time: message.edited_at ?? message.time };
  const versions = edits && [...(message.deleted ? [] : [now]), ...[...edits].reverse()];
  return (
    <Modal open wide onClose={onClose} title="Edit history" description="The newest words first.">
      {versions === null ? (
        <Spinner label="Loading…" />
      ) : (
        <ol className={own.versions}>
          {versions.map((version, index) => (
            <li
              key={`${version.time} ${index}`}
              className={own.version}
              data-now={version === now || undefined}
            >
              <time className={own.small} dateTime={new Date(version.time).toISOString()}>
                {fullTime(version.time)}
                {version === now && ", as it is now"}
              </time>
              <p>{version.text || "Nothing"}</p>
            </li>
          ))}
        </ol>
      )}
    </Modal>
  );
}
