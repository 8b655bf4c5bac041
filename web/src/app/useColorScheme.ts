import { useSyncExternalStore } from "react";
import { useStore } from "./store.ts";
import { theme } from "./theme.ts";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** What is shown now. For canvases: everything else takes its colours from the tokens. */
export function useColorScheme(): "light" | "dark" {
  const chosen = useStore(theme);
  const system = useSyncExternalStore(
    (listener) => {
      dark.addEventListener("change", listener);
      return () => dark.removeEventListener("change", listener);
    },
    () => (dark.matches ? "dark" : "light"),
  );
  return chosen === "system" ? system : chosen;
}
