/** The stay in a world that the page shows. It begins when one looks at the world, and ends when one looks elsewhere. */
import { socketPath } from "../app/server.ts";
import { sessionShelf } from "../app/storage.ts";
import { Store } from "../app/store.ts";
import type { Identity } from "../signin/identity.ts";
import { forgetWorld, rememberWorld } from "./last.ts";
import { WorldSession } from "./session.ts";

export const current = new Store<WorldSession | null>(null);

/** The returned function ends it. */
export function startStay(auth: Identity, world: string): () => void {
  const manager = { path: socketPath };
  const session = new WorldSession({ auth, world, shelf: sessionShelf, manager });
  current.set(session);
  const stop = session.state.subscribe(() => {
    const { info, refusal } = session.state.get();
    if (info) rememberWorld(world);
    else if (refusal !== null) forgetWorld(world);
  });
  const online = () => session.reconnect();
  // The browser knows that the network is back before any timer does.
  window.addEventListener("online", online);
  return () => {
    window.removeEventListener("online", online);
    stop();
    session.close();
    if (current.get() === session) current.set(null);
  };
}
