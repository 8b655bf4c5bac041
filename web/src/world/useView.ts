import { useState } from "react";
import type { Tool } from "./stage.ts";

/** How one looks at the world, and what one does to it: of this page alone. */
export interface ViewState {
  readonly tool: Tool;
  /** The figures are shown. */
  readonly figures: boolean;
  /** Rings and numbers say how old what is known of each is. */
  readonly ages: boolean;
}

export type SetView = (change: Partial<ViewState>) => void;

export function useView(): [ViewState, SetView] {
  const [view, setView] = useState<ViewState>(() => ({
    tool: null,
    // A phone shows the world first.
    figures: !window.matchMedia("(max-width: 40rem)").matches,
    ages: false,
  }));
  return [view, (change) => setView((old) => ({ ...old, ...change }))];
}
