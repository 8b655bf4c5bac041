import { Button } from "../ui/Button.tsx";
import type { Pages } from "./usePages.ts";

/** Stands below a list, as long as there is more of it. */
export function ShowMore({ pages }: { pages: Pick<Pages<unknown>, "hasMore" | "more"> }) {
  if (!pages.hasMore) return null;
  return (
    <Button look="plain" size="sm" onClick={pages.more}>
      Show more
    </Button>
  );
}
