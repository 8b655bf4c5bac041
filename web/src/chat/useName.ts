import type { User } from "lakh-client";
import { useStore } from "../app/store.ts";
import { useSession } from "./useChat.ts";

/** What somebody is called now, who may have been called otherwise when they said something. */
export function useName({ id, name }: User): string {
  const { profiles } = useSession();
  return useStore(profiles.known, (known) => known.get(id)?.name) ?? name;
}
