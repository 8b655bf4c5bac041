/** Who is there, of people that this part of the page shows. */
import type { PresenceChange } from "lakh-client";
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { useSession } from "./useChat.ts";

/** Follows somebody while it is shown; undefined until the server has told, or for nobody. */
export function useStatus(id: string | null): PresenceChange | undefined {
  const { statuses } = useSession();
  useEffect(() => (id === null ? undefined : statuses.watch([id])), [statuses, id]);
  return useSyncExternalStore(
    useCallback((listener) => statuses.onChange(listener), [statuses]),
    () => (id === null ? undefined : statuses.get(id)),
  );
}
