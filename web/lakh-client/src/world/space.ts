/**
 * A space that one is in: who is there, where in it they are, where they point, and what they have locked. It stays true over
 * lost connections: whoever comes back is the member they were, or a new one if that took too long.
 */
import { LakhError } from "../errors.js";
import { Emitter } from "./emitter.js";
import type {
  SpaceCursor,
  SpaceEvents,
  SpaceLock,
  SpaceMember,
  SpaceNamed,
  SpaceRequests,
} from "./spaces.js";

type Fields<K extends keyof SpaceRequests> = SpaceRequests[K]["fields"];
type EnterAnswer = SpaceRequests["space:enter"]["answer"];
type News<K extends keyof SpaceEvents> = Parameters<SpaceEvents[K]>[0];

/** `away`: the connection is lost, and one enters again when it's back. `left` is for good. */
export type SpacePhase = "in" | "away" | "left";

export interface SpaceHandleEvents {
  enter: (member: SpaceMember) => void;
  leave: (member: SpaceMember) => void;
  /** A profile, or whether somebody is connected. */
  update: (member: SpaceMember) => void;
  location: (member: SpaceMember, previous: unknown) => void;
  cursors: (cursors: readonly SpaceCursor[]) => void;
  /** `lock` is null when the component is free. */
  lock: (component: string, lock: SpaceLock | null) => void;
  /** With the reason if the server let one in no more. */
  phase: (phase: SpacePhase, error: LakhError | null) => void;
}

/** What a space needs of its connection. */
export interface SpaceWire {
  request<K extends keyof SpaceRequests>(
    event: K,
    fields: Fields<K>,
  ): Promise<SpaceRequests[K]["answer"]>;
  enter(fields: Fields<"space:enter">, entered: (answer: EnterAnswer) => void): Promise<void>;
  cursor(fields: Fields<"space:cursor">): void;
  left(space: Space): void;
  /** Leaves what one has entered and wants no more. */
  leave(space: string): void;
}

export class Space extends Emitter<SpaceHandleEvents> {
  readonly name: string;
  phase: SpacePhase = "in";
  /** One's own; another after one was away for too long. */
  session: string;
  readonly #wire: SpaceWire;
  readonly #members = new Map<string, SpaceMember>();
  readonly #locks = new Map<string, SpaceLock>();
  /** Versions of locks that have ended: what was said of them before may come later. */
  readonly #ended = new Map<string, number>();
  /** Told of on the way back, by component: the answer may have been put together before. */
  readonly #early = new Map<string, News<"space:lock">>();
  #resume: string;
  #profile: unknown;
  #location: unknown = null;
  #tries = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(wire: SpaceWire, { space, profile }: Fields<"space:enter">, answer: EnterAnswer) {
    super();
    this.#wire = wire;
    this.name = space;
    this.#profile = profile;
    this.session = answer.session;
    this.#resume = answer.resume;
    this.#replace(answer);
    this.#location = this.me?.location ?? null;
  }

  /** By session. */
  get members(): ReadonlyMap<string, SpaceMember> {
    return this.#members;
  }

  /** By component. */
  get locks(): ReadonlyMap<string, SpaceLock> {
    return this.#locks;
  }

  /** Oneself. Undefined for a moment at most, after one was away. */
  get me(): SpaceMember | undefined {
    return this.#members.get(this.session);
  }

  /** While one is away it's kept, and said as one comes back; so is a location. */
  async setProfile(profile: unknown): Promise<void> {
    const before = this.#profile;
    this.#profile = profile;
    if (this.phase !== "in") return;
    try {
      await this.#ask("space:profile", { space: this.name, profile });
    } catch (error) {
      // With what the server refuses one would not be let in again.
      if (wasRefused(error) && this.#profile === profile) this.#profile = before;
      throw error;
    }
  }

  /** `null` is nowhere. */
  async setLocation(location: unknown): Promise<void> {
    const before = this.#location;
    this.#location = location;
    if (this.phase !== "in") return;
    try {
      await this.#ask("space:location", { space: this.name, location });
    } catch (error) {
      if (wasRefused(error) && this.#location === location) this.#location = before;
      throw error;
    }
  }

  /** As often as the mouse moves; nobody is told while one is away. */
  cursor(x: number, y: number, data?: unknown): void {
    if (this.phase === "in") this.#wire.cursor({ space: this.name, x, y, data });
  }

  /** Takes a lock, or holds it for longer. A `LakhError` of the code `locked` has the other's lock as `current`. */
  async lock(component: string, options: { forS?: number; data?: unknown } = {}) {
    const { forS: for_s, data } = options;
    const { lock } = await this.#ask("space:lock", { space: this.name, component, for_s, data });
    this.#take(component, lock.version, lock);
    return lock;
  }

  /** False if it was free. `force` takes another's away, for who may. */
  async unlock(component: string, { force = false } = {}): Promise<boolean> {
    return (await this.#ask("space:unlock", { space: this.name, component, force })).unlocked;
  }

  async leave(): Promise<void> {
    const wasIn = this.phase === "in";
    this.end(null);
    if (wasIn) await this.#wire.request("space:leave", { space: this.name });
  }

  // For the connection

  away(): void {
    clearTimeout(this.#retry);
    this.#early.clear();
    if (this.phase === "in") this.#turn("away", null);
  }

  /** The connection is there, perhaps another one: the server says whether one is still that member. */
  comeBack(): void {
    if (this.phase !== "away") return;
    clearTimeout(this.#retry);
    const { name: space } = this;
    const profile = this.#profile === undefined ? {} : { profile: this.#profile };
    this.#wire
      .enter({ space, resume: this.#resume, ...profile }, (answer) => this.#again(answer))
      .catch((error: unknown) => this.#notBack(error));
  }

  end(error: LakhError | null): void {
    clearTimeout(this.#retry);
    if (this.phase === "left") return;
    this.#wire.left(this);
    this.#turn("left", error);
  }

  hearMembers({ entered = [], updated = [], left = [] }: News<"space:members">): void {
    for (const member of [...entered, ...updated]) this.#set(member);
    for (const { session } of left) this.#gone(session);
  }

  hearLocation({ session, location, previous }: News<"space:location">): void {
    const member = this.#members.get(session);
    if (!member) return;
    const moved = { ...member, location };
    this.#members.set(session, moved);
    this.emit("location", moved, previous);
  }

  hearCursors({ cursors }: News<"space:cursors">): void {
    this.emit("cursors", cursors);
  }

  hearLock(news: News<"space:lock">): void {
    if (this.phase === "away") this.#early.set(news.component, news);
    else this.#take(news.component, news.version, news.lock);
  }

  #again(answer: EnterAnswer): void {
    if (this.phase === "left") {
      // Left while one was on the way back.
      this.#wire.leave(this.name);
    }
    if (this.phase !== "away") return;
    this.#tries = 0;
    this.session = answer.session;
    this.#resume = answer.resume;
    this.#replace(answer);
    for (const { component, version, lock } of this.#early.values()) {
      this.#take(component, version, lock);
    }
    this.#early.clear();
    this.#turn("in", null);
    this.#sayLocation();
  }

  /** It was set while one was away, or is lost with the member that one was. */
  #sayLocation(): void {
    const { name: space } = this;
    const location = this.#location;
    if (this.phase !== "in" || isSame(this.me?.location ?? null, location)) return;
    this.#ask("space:location", { space, location }).catch((error: unknown) => {
      expected(error);
      // Who comes back to many spaces at once has more to say than the server takes in a second.
      if (this.phase !== "in" || !mayTryAgain(error)) return;
      this.#retry = setTimeout(() => this.#sayLocation(), RETRY_MS);
    });
  }

  #notBack(error: unknown): void {
    if (this.phase !== "away") return;
    if (error instanceof LakhError && !error.retryable) {
      this.end(error);
      return;
    }
    // One is called again when there is a connection.
    if (error instanceof LakhError && error.code === "disconnected") return;
    const wait = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** this.#tries);
    this.#tries += 1;
    this.#retry = setTimeout(() => this.comeBack(), wait);
  }

  /** What the server has said is all there is; who hears of it hears what is new. */
  #replace({ members, locks }: EnterAnswer): void {
    const here = new Set(members.map(({ session }) => session));
    for (const session of [...this.#members.keys()]) if (!here.has(session)) this.#gone(session);
    for (const member of members) this.#set(member);
    const held = new Set(locks.map(({ component }) => component));
    for (const [component, { version }] of [...this.#locks]) {
      if (!held.has(component)) this.#take(component, version, null);
    }
    for (const lock of locks) this.#take(lock.component, lock.version, lock);
  }

  #set(member: SpaceMember): void {
    const known = this.#members.get(member.session);
    if (known && isSame(known, member)) return;
    this.#members.set(member.session, member);
    if (!known) this.emit("enter", member);
    else if (isSame({ ...known, location: null }, { ...member, location: null })) {
      this.emit("location", member, known.location);
    } else this.emit("update", member);
  }

  #gone(session: string): void {
    const member = this.#members.get(session);
    if (!member) return;
    this.#members.delete(session);
    this.emit("leave", member);
  }

  /** Of two words about a component the one with the higher version is the later. */
  #take(component: string, version: number, lock: SpaceLock | null): void {
    const known = this.#locks.get(component);
    const ended = this.#ended.get(component) ?? 0;
    if (known ? known.version > version : lock && ended >= version) return;
    if (lock) this.#locks.set(component, lock);
    else this.#end(component, version);
    if (!isSame(known ?? null, lock)) this.emit("lock", component, lock);
  }

  #end(component: string, version: number): void {
    this.#locks.delete(component);
    this.#ended.delete(component);
    this.#ended.set(component, version);
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined && this.#ended.size > MOST_ENDED) this.#ended.delete(oldest);
  }

  #ask<K extends keyof SpaceRequests>(
    event: K,
    fields: Fields<K> & SpaceNamed,
  ): Promise<SpaceRequests[K]["answer"]> {
    if (this.phase === "in") return this.#wire.request(event, fields);
    return Promise.reject(
      new LakhError("disconnected", `Not in the space: ${event} was not sent.`),
    );
  }

  #turn(phase: SpacePhase, error: LakhError | null): void {
    this.phase = phase;
    this.emit("phase", phase, error);
  }
}

const RETRY_MS = 500;
const RETRY_MAX_MS = 10_000;
const MOST_ENDED = 500;

/** Of what came as JSON, with its fields in one order. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The connection is lost again, and it is said as one comes back. */
function expected(error: unknown): void {
  if (!(error instanceof LakhError)) throw error;
}

/** The server has answered, and said no. */
function wasRefused(error: unknown): boolean {
  return error instanceof LakhError && error.code !== "timeout" && error.code !== "disconnected";
}

function mayTryAgain(error: unknown): boolean {
  return error instanceof LakhError && error.retryable && error.code !== "disconnected";
}
