/** Light, dark, or as the system says. public/theme.js reads the same key before first paint. */
import { localShelf } from "./storage.ts";
import { Store } from "./store.ts";

export type Theme = "system" | "light" | "dark";

const KEY = "lakh.theme";

export const theme = new Store<Theme>(remembered());

export function setTheme(next: Theme): void {
  localShelf.write(KEY, next === "system" ? null : next);
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  theme.set(next);
}

function remembered(): Theme {
  const value = localShelf.read(KEY);
  return value === "light" || value === "dark" ? value : "system";
}
