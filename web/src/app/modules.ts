/** What the console shows. A module adds a line here and its page in App.tsx. */
import { Activity, Globe2, MessagesSquare, type LucideIcon } from "lucide-react";

export interface ModuleEntry {
  path: string;
  name: string;
  icon: LucideIcon;
}

export const modules: readonly ModuleEntry[] = [
  { path: "/", name: "Overview", icon: Activity },
  { path: "/chat", name: "Chat", icon: MessagesSquare },
  { path: "/world", name: "World", icon: Globe2 },
];

/** Whether `location` lies in the module at `path`. */
export function isWithin(location: string, path: string): boolean {
  return path === "/" ? location === "/" : location === path || location.startsWith(`${path}/`);
}
