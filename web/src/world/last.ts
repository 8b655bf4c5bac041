/** The world that one was in last in this tab: where the menu leads back to. */
import { sessionShelf } from "../app/storage.ts";
import { Store } from "../app/store.ts";
import { worldPath } from "./paths.ts";

const KEY = "lakh.world";

/** Its address; null: one was in none. */
export const lastWorldPath = new Store(addressOf(sessionShelf.read(KEY)));

export function rememberWorld(world: string): void {
  if (addressOf(world) === lastWorldPath.get()) return;
  sessionShelf.write(KEY, world);
  lastWorldPath.set(addressOf(world));
}

/** The menu must not lead to where one isn't let in. */
export function forgetWorld(world: string): void {
  if (addressOf(world) !== lastWorldPath.get()) return;
  sessionShelf.write(KEY, null);
  lastWorldPath.set(null);
}

function addressOf(world: string | null): string | null {
  return world === null ? null : worldPath(world);
}
