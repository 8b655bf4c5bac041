/** The keys of a page: what they are called here, and whether the list of them is open. */
import type { KeyboardEvent } from "react";
import { Store } from "./store.ts";

/** The menu of the page's frame opens the list, the page shows it. */
export const shortcuts = new Store(false);

/** Whether a finger is what the page is used with. */
export const touch = window.matchMedia("(pointer: coarse)");

export const IS_MAC = /mac|iphone|ipad/i.test(navigator.userAgent);
/** As `aria-keyshortcuts` has it. */
export const MOD_NAME = IS_MAC ? "Meta" : "Control";
export const MOD_SIGN = IS_MAC ? "⌘" : "Ctrl";

/** Whether it is a key pressed with Ctrl, on a Mac with Cmd, and with nothing else. */
export function isModded(event: globalThis.KeyboardEvent | KeyboardEvent, key: string): boolean {
  const mod = IS_MAC ? event.metaKey : event.ctrlKey;
  return mod && !event.shiftKey && !event.altKey && event.key.toLowerCase() === key;
}
