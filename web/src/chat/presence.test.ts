import type { ChatClient, ConnectionState } from "lakh-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { memoryShelf, type Shelf } from "../app/storage.ts";
import { Memory } from "./memory.ts";
import { OwnStatus } from "./presence.ts";

/** A connection that only remembers what was said over it. */
function connection() {
  const said: string[] = [];
  const watchers = new Set<(state: ConnectionState) => void>();
  const chat = {
    state: { status: "connected", recovered: false } as ConnectionState,
    onState: (watcher: (state: ConnectionState) => void) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    me: {
      status: ({ status }: { status: string }) => {
        said.push(status);
        return Promise.resolve({ status });
      },
    },
  };
  const arrive = (recovered: boolean) => {
    for (const watcher of watchers) watcher({ status: "connected", recovered });
  };
  return { chat: chat as unknown as ChatClient, said, arrive };
}

const start = (shelf: Shelf = memoryShelf()) => {
  const made = connection();
  return { ...made, own: new OwnStatus(made.chat, new Memory(shelf, "dev:ada")) };
};

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("one is away when nobody has touched the page for five minutes, and back at the first touch", () => {
  const { own, said } = start();
  vi.advanceTimersByTime(4 * 60_000);
  own.touched();
  vi.advanceTimersByTime(4 * 60_000);
  expect(said).toEqual([]);
  vi.advanceTimersByTime(60_000);
  expect(said).toEqual(["away"]);
  own.touched();
  expect(said).toEqual(["away", "online"]);
  own.stop();
});

test("one is away when the page is hidden for half a minute; a short look elsewhere is nobody's business", () => {
  const { own, said } = start();
  own.shown(false);
  vi.advanceTimersByTime(20_000);
  own.shown(true);
  expect(said).toEqual([]);
  own.shown(false);
  // A pointer may pass over a window that is behind another one.
  own.touched();
  vi.advanceTimersByTime(30_000);
  expect(said).toEqual(["away"]);
  own.shown(true);
  expect(said).toEqual(["away", "online"]);
  own.stop();
});

test("what one has chosen is kept, and said again at each arrival but after a recovery", () => {
  const shelf = memoryShelf();
  const first = start(shelf);
  first.own.choose(true);
  expect(first.said).toEqual(["away"]);
  first.own.touched();
  first.arrive(true);
  expect(first.said).toEqual(["away"]);
  first.arrive(false);
  expect(first.said).toEqual(["away", "away"]);
  first.own.stop();

  const second = start(shelf);
  expect(second.own.state.get()).toEqual({ chosen: true, away: true });
  second.arrive(false);
  expect(second.said).toEqual(["away"]);
  second.own.choose(false);
  expect(second.said).toEqual(["away", "online"]);
  second.own.stop();
});
