/**
 * Keys, wherever in the world's part of the page one has the focus: who has just let bots loose walks on without going
 * back to the canvas. What a field, a slider or a menu makes of a key is theirs.
 */
import type { Stage } from "./stage.ts";

const OF_OTHERS = "input, select, textarea, [contenteditable], [role=menu]";

export class Keys {
  readonly #stops = new AbortController();

  constructor(canvas: HTMLCanvasElement, stage: Stage) {
    const region = canvas.parentElement ?? canvas;
    const { signal } = this.#stops;
    region.addEventListener(
      "keydown",
      (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (isOfOthers(event.target) && !isFree(event)) return;
        if (stage.press(event)) event.preventDefault();
      },
      { signal },
    );
    region.addEventListener("keyup", (event) => stage.release(event), { signal });
    region.addEventListener(
      "focusout",
      ({ relatedTarget }) => {
        const stays = relatedTarget instanceof Node && region.contains(relatedTarget);
        if (!stays || isOfOthers(relatedTarget)) stage.halt();
      },
      { signal },
    );
  }

  close(): void {
    this.#stops.abort();
  }
}

/** A slider takes the arrows and no letters. */
function isFree({ target, code }: KeyboardEvent): boolean {
  return target instanceof Element && target.matches("[type=range]") && code.startsWith("Key");
}

function isOfOthers(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest(OF_OTHERS) !== null;
}
