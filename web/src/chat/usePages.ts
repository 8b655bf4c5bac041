/** Lists that the server gives a page at a time. */
import { useCallback, useEffect, useRef, useState } from "react";
import { useSession } from "./useChat.ts";

interface Page<T> {
  items: readonly T[];
  cursor: string | null | undefined;
}

export interface Pages<T> {
  /** Null until the first page is here. */
  items: readonly T[] | null;
  /** Whether there are others; pages may be empty and yet have some behind them. */
  hasMore: boolean;
  more: () => void;
  /** Changes what is here already, such as an item that was just dealt with. */
  change: (change: (items: readonly T[]) => readonly T[]) => void;
}

/** `load` is to change when another list is wanted, and then only. */
export function usePages<T>(load: (cursor: string | undefined) => Promise<Page<T>>): Pages<T> {
  const session = useSession();
  const [state, setState] = useState<{ of: typeof load; page: Page<T> } | null>(null);
  const latest = useRef(load);

  const ask = useCallback(
    (before: Page<T> | null) =>
      session.attempt(async () => {
        let items = before?.items ?? [];
        let cursor = before?.cursor ?? undefined;
        do {
          const next = await load(cursor);
          items = [...items, ...next.items];
          cursor = next.cursor ?? undefined;
          // Nothing on this page is no reason to show nothing.
        } while (cursor !== undefined && items.length === (before?.items.length ?? 0));
        if (latest.current === load) setState({ of: load, page: { items, cursor } });
      }),
    [session, load],
  );
  useEffect(() => {
    latest.current = load;
    void ask(null);
  }, [load, ask]);

  const page = state?.of === load ? state.page : null;
  return {
    items: page?.items ?? null,
    hasMore: typeof page?.cursor === "string",
    more: () => void ask(page),
    change: (change) => {
      setState((old) => old && { ...old, page: { ...old.page, items: change(old.page.items) } });
    },
  };
}
