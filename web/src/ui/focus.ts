/**
 * Where the focus goes when what had it ends. Radix gives it back to a trigger, and to nothing where a dialog was opened by
 * other means; what opened it may be gone besides, such as the tools of a message that isn't pointed at any more.
 */
import { touch } from "../app/keys.ts";

/** Takes the focus when nothing nearer is there any more: where one writes. */
export const FOCUS_HOME = "[data-focus-home]";

/** Remembers what has the focus; the answer gives it back, or to what is nearest to it by then. */
export function rememberFocus(): () => void {
  const before = document.activeElement;
  // An item goes with its menu, and the menu names its button.
  const menu = before?.closest("[role=menu]")?.getAttribute("aria-labelledby");
  const opener = menu ? document.getElementById(menu) : before;
  const around = opener?.parentElement?.closest("[tabindex]");
  return () => {
    // On a phone the keyboard would come up.
    const home = touch.matches ? null : document.querySelector(FOCUS_HOME);
    const back = [opener, around, home].find((one) => one?.isConnected && one !== document.body);
    if (back instanceof HTMLElement) back.focus({ preventScroll: true });
  };
}
