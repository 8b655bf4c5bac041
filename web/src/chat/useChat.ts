import { createContext, useContext } from "react";
import { useStore } from "../app/store.ts";
import type { ChatSession, ChatState } from "./session.ts";

export const SessionContext = createContext<ChatSession | null>(null);

export function useSession(): ChatSession {
  const session = useContext(SessionContext);
  if (!session) throw new Error("This part of the chat stands outside of a session.");
  return session;
}

export function useChat<P>(select: (state: ChatState) => P): P {
  return useStore(useSession().state, select);
}
