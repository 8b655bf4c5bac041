/** A stay in a space, without a server: what its news come to, and what becomes of it on the way back. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LakhError, Space, type SpaceLock, type SpaceMember } from "../src/index.js";
import type { SpaceWire } from "../src/world/space.js";
import type { SpaceRequests } from "../src/world/spaces.js";

type EnterAnswer = SpaceRequests["space:enter"]["answer"];
type EnterFields = SpaceRequests["space:enter"]["fields"];

/** The connection, as far as a space needs it: what is asked is kept, and answered by the test. */
class TestWire implements SpaceWire {
  readonly asked: [event: string, fields: object][] = [];
  readonly entering: { fields: EnterFields; entered: (answer: EnterAnswer) => void }[] = [];
  readonly left = () => undefined;
  readonly leave = (space: string) => void this.asked.push(["leave", { space }]);
  readonly cursor = () => undefined;
  refusal: LakhError | null = null;

  request<K extends keyof SpaceRequests>(
    event: K,
    fields: SpaceRequests[K]["fields"],
  ): Promise<SpaceRequests[K]["answer"]> {
    this.asked.push([event, fields]);
    return this.refusal ? Promise.reject(this.refusal) : Promise.resolve({} as never);
  }

  enter(fields: EnterFields, entered: (answer: EnterAnswer) => void): Promise<void> {
    this.entering.push({ fields, entered });
    return this.refusal ? Promise.reject(this.refusal) : Promise.resolve();
  }
}

const member = (session: string, location: unknown = null): SpaceMember => ({
  session,
  user: null,
  connected: true,
  profile: null,
  location,
});
const lock = (component: string, version: number): SpaceLock => ({
  component,
  version,
  session: "b",
  since: 1,
  until: 2,
});
const taken = (component: string, version: number) => ({
  space: "s",
  component,
  version,
  lock: lock(component, version),
});
const freed = (component: string, version: number) => ({
  ...taken(component, version),
  lock: null,
});
const answer = (more: Partial<EnterAnswer> = {}): EnterAnswer => ({
  space: "s",
  session: "a",
  resume: "a.x",
  resumed: false,
  members: [member("a")],
  locations: [],
  locks: [],
  ...more,
});

function begin(more: Partial<EnterAnswer> = {}, profile: unknown = "teal") {
  const wire = new TestWire();
  const space = new Space(wire, { space: "s", profile }, answer(more));
  const heard: unknown[] = [];
  space.on("enter", ({ session }) => heard.push(`+${session}`));
  space.on("leave", ({ session }) => heard.push(`-${session}`));
  space.on("location", ({ session, location }) => heard.push([session, location]));
  space.on("lock", (component, now) => heard.push([component, now?.version ?? null]));
  space.on("phase", (phase, error) => heard.push(error ? `${phase}: ${error.code}` : phase));
  return { wire, space, heard };
}

const no = (code: string) => new LakhError(code, "no");

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("whoever comes back has what the server says, and hears what is other than before", () => {
  const { wire, space, heard } = begin({
    members: [member("a"), member("b", 1), member("c")],
    locks: [lock("title", 3), lock("body", 4)],
  });
  space.away();
  space.comeBack();
  expect(wire.entering[0]!.fields).toEqual({ space: "s", resume: "a.x", profile: "teal" });
  const members = [member("b", 2), member("a2"), member("d")];
  wire.entering[0]!.entered(
    answer({ session: "a2", resume: "a2.y", members, locks: [lock("body", 4)] }),
  );
  expect([space.session, space.me]).toEqual(["a2", member("a2")]);
  expect([...space.members.values()]).toEqual(members);
  expect([...space.locks.keys()]).toEqual(["body"]);
  expect(heard).toEqual(["away", "-a", "-c", ["b", 2], "+a2", "+d", ["title", null], "in"]);
  space.away();
  space.comeBack();
  expect(wire.entering[1]!.fields.resume).toBe("a2.y");
});

describe("locks", () => {
  test("of two words about one the later counts, in whichever order they come", () => {
    const { space, heard } = begin();
    const words = [taken("c", 5), taken("c", 4), freed("c", 4), taken("c", 5), freed("c", 5)];
    for (const word of [...words, taken("c", 5), taken("c", 6)]) space.hearLock(word);
    expect(heard).toEqual([
      ["c", 5],
      ["c", null],
      ["c", 6],
    ]);
  });

  test("that are told of on the way back are not undone by an answer that is older", () => {
    const { wire, space } = begin({ locks: [lock("gone", 1), lock("held", 2)] });
    space.away();
    space.comeBack();
    space.hearLock(taken("new", 7));
    space.hearLock(freed("held", 2));
    space.hearLock(taken("brief", 8));
    space.hearLock(freed("brief", 8));
    wire.entering[0]!.entered(answer({ locks: [lock("held", 2)] }));
    expect([...space.locks.values()]).toEqual([lock("new", 7)]);
  });
});

describe("what one says of oneself", () => {
  test("and the server refuses is not said again on the way back", async () => {
    const { wire, space } = begin({ members: [member("a", "here")] });
    wire.refusal = no("too_large");
    await expect(space.setProfile("long")).rejects.toThrow();
    await expect(space.setLocation("far")).rejects.toThrow();
    wire.refusal = null;
    wire.asked.length = 0;
    space.away();
    space.comeBack();
    expect(wire.entering[0]!.fields.profile).toBe("teal");
    wire.entering[0]!.entered(answer({ members: [member("a", "here")] }));
    expect(wire.asked).toEqual([]);
  });

  test("and was lost with the connection is said on the way back", async () => {
    const { wire, space } = begin();
    wire.refusal = no("disconnected");
    await expect(space.setProfile("red")).rejects.toThrow();
    await expect(space.setLocation("far")).rejects.toThrow();
    wire.refusal = null;
    wire.asked.length = 0;
    space.away();
    space.comeBack();
    expect(wire.entering[0]!.fields.profile).toBe("red");
    wire.entering[0]!.entered(answer());
    expect(wire.asked).toEqual([["space:location", { space: "s", location: "far" }]]);
  });

  test("is said again until the server takes it", async () => {
    const { wire, space } = begin();
    space.away();
    await space.setLocation("there");
    space.comeBack();
    wire.refusal = no("rate_limited");
    wire.entering[0]!.entered(answer());
    await vi.advanceTimersByTimeAsync(1100);
    expect(wire.asked.length).toBe(3);
    wire.refusal = null;
    await vi.advanceTimersByTimeAsync(5000);
    expect(wire.asked.length).toBe(4);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the way back", () => {
  test("is tried again, later each time, until the server says no", async () => {
    const { wire, space, heard } = begin();
    wire.refusal = no("unavailable");
    space.away();
    space.comeBack();
    await vi.advanceTimersByTimeAsync(4000);
    expect(wire.entering.length).toBe(4);
    wire.refusal = no("forbidden");
    await vi.advanceTimersByTimeAsync(20_000);
    expect(heard).toEqual(["away", "left: forbidden"]);
    expect([wire.entering.length, vi.getTimerCount()]).toEqual([5, 0]);
  });

  test("waits for a connection where there is none", async () => {
    const { wire, space } = begin();
    wire.refusal = no("disconnected");
    space.away();
    space.comeBack();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([space.phase, wire.entering.length, vi.getTimerCount()]).toEqual(["away", 1, 0]);
  });

  test("ends with who leaves on it", async () => {
    const { wire, space } = begin();
    space.away();
    space.comeBack();
    await space.leave();
    expect(wire.asked).toEqual([]);
    wire.entering[0]!.entered(answer());
    expect([wire.asked, space.phase]).toEqual([[["leave", { space: "s" }]], "left"]);
  });
});
