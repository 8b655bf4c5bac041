/**
 * The one chat session of the page. It outlives a look at another page of the console, so that
 * messages keep arriving, and ends with the sign-in that it was made for.
 */
import { socketPath } from "../app/server.ts";
import { localShelf } from "../app/storage.ts";
import { Store } from "../app/store.ts";
import { identity, type Identity } from "../signin/identity.ts";
import { ChatSession } from "./session.ts";

interface Current {
  auth: Identity;
  session: ChatSession;
}

export const current = new Store<Current | null>(null);

export function startSession(auth: Identity): void {
  if (current.get()?.auth === auth) return;
  endSession();
  const manager = { path: socketPath };
  current.set({ auth, session: new ChatSession({ auth, shelf: localShelf, manager }) });
}

function endSession(): void {
  current.get()?.session.close();
  current.set(null);
}

identity.subscribe(() => {
  if (current.get() && current.get()?.auth !== identity.get()) endSession();
});

// Whoever moves, types or taps is here; a page behind another one is not looked at.
const touched = () => current.get()?.session.own.touched();
for (const sign of ["pointerdown", "pointermove", "keydown", "wheel"]) {
  window.addEventListener(sign, touched, { passive: true });
}
document.addEventListener("visibilitychange", () => {
  current.get()?.session.own.shown(document.visibilityState === "visible");
});

// The browser knows that the network is back before any timer does.
window.addEventListener("online", () => current.get()?.session.reconnect());
