import { CircleAlert } from "lucide-react";
import { useState } from "react";
import type { ChatRoomState, LakhError } from "lakh-client";
import { Link } from "wouter";
import { Button, ButtonLink } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import styles from "./RoomPane.module.css";
import { useSession } from "./useChat.ts";

interface NoRoomProps {
  id: string;
  /** Why the server has not made it, once it was asked to. */
  refusal: LakhError | null;
  onMake: () => void;
}

/** Whoever follows an address may have mistyped it, so a room is made only when they say so. */
export function NoRoom({ id, refusal, onMake }: NoRoomProps) {
  return (
    <Empty
      icon={<CircleAlert size={26} aria-hidden />}
      title="There is no such room"
      action={
        <div className={styles.choices}>
          {!refusal && <Button onClick={onMake}>Make this room</Button>}
          <Link href="/chat" asChild>
            <ButtonLink look="plain">All rooms</ButtonLink>
          </Link>
        </div>
      }
    >
      {refusal ? whyNot(id, refusal) : whatIf(id)}
    </Empty>
  );
}

function whatIf(id: string): string {
  return `“${id}” may be mistyped or deleted, or isn’t open to you. If you make it, everybody on this server can see and join it.`;
}

function whyNot(id: string, { code }: LakhError): string {
  return code === "forbidden"
    ? `“${id}” isn’t there, and you may not make it.`
    : `“${id}” isn’t open to you. Somebody in it can invite you.`;
}

/** What stands in the place of a room that isn't there; null: it is, or nobody knows. */
export function useNoRoom({ id, phase, error }: ChatRoomState): NoRoomProps | null {
  const session = useSession();
  // What the server had said when it was asked. Without a connection it says nothing new.
  const [before, setBefore] = useState<LakhError | null>(null);
  if (phase !== "failed" || !error) return null;
  const refusal = before !== null && before !== error ? error : null;
  const isMissing = error.code === "not_found" || refusal?.code === "forbidden";
  if (!isMissing) return null;
  const onMake = () => {
    setBefore(error);
    void session.attempt(() => session.join(id));
  };
  return { id, refusal, onMake };
}
