/** What the console shows. A module adds a line here and its page in App.tsx. */
import { Activity, Globe2, MessagesSquare, type LucideIcon } from "lucide-react";
import { lastWorldPath } from "../world/last.ts";
import type { Store } from "./store.ts";

export interface ModuleEntry {
  path: string;
  name: string;
  icon: LucideIcon;
  /** Where in it one was last, if the menu leads back there. */
  last?: Store<string | null>;
}

export const modules: readonly ModuleEntry[] = [
  { path: "/", name: "Overview", icon: Activity },
  { path: "/chat", name: "Chat", icon: MessagesSquare },
  { path: "/world", name: "World", icon: Globe2, last: lastWorldPath },
];

/** Whether `location` lies in the module at `path`. */
export function isWithin(location: string, path: string): boolean {
  return path === "/" ? location === "/" : location === path || location.startsWith(`${path}/`);
}
