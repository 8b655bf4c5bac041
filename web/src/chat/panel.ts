/** What stands beside the messages. One thing at a time, as there is room for one. */
export type Panel =
  | { kind: "thread"; root: number }
  | { kind: "members" | "pins" | "search" | "scheduled" | "reports" | "log" };
