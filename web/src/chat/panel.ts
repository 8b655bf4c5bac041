/** Whether a panel covers the messages, as its styles have it: then it goes when one of them is to be seen. */
export const covers = window.matchMedia("(max-width: 60rem)");

/** What stands beside the messages. One thing at a time, as there is room for one. */
export type Panel =
  | { kind: "thread"; root: number }
  | { kind: "search"; everywhere?: true }
  | { kind: "members" | "pins" | "scheduled" | "reports" | "log" };
