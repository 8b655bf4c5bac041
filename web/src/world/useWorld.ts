import { createContext, useContext } from "react";
import { useStore } from "../app/store.ts";
import type { WorldSession, WorldState } from "./session.ts";

export const WorldContext = createContext<WorldSession | null>(null);

export function useWorldSession(): WorldSession {
  const session = useContext(WorldContext);
  if (!session) throw new Error("This part of the world stands outside of a session.");
  return session;
}

export function useWorld<P>(select: (state: WorldState) => P): P {
  return useStore(useWorldSession().state, select);
}
