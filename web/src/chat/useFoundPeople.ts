import type { User } from "lakh-client";
import { useEffect, useState } from "react";
import { useChat, useSession } from "./useChat.ts";

const WAIT_MS = 150;
const MOST = 6;

/** People whose name begins so, by the server; nobody while there is no word. */
export function useFoundPeople(word: string | null): readonly User[] {
  const session = useSession();
  const mayFind = useChat((state) => state.features.has("person:find"));
  const [found, setFound] = useState<readonly User[]>([]);
  const search = word?.trim() ?? "";

  useEffect(() => {
    if (!mayFind || search === "") return;
    let late = false;
    const timer = setTimeout(() => {
      session.chat.person
        .find({ search, limit: MOST })
        .then(({ people }) => {
          if (!late) setFound(people);
        })
        .catch(() => {
          // Those that the page has met are known without it.
        });
    }, WAIT_MS);
    return () => {
      late = true;
      clearTimeout(timer);
    };
  }, [session, mayFind, search]);
  return found;
}
