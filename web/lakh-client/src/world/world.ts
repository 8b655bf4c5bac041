/**
 * A world that one is in: entities by id, moved evenly; one's own, which moves at once; and what one gets of it all. It
 * stays true over lost connections: whoever comes back enters again, and what is still there was never gone.
 */
import { LakhError } from "../errors.js";
import { FrameError } from "./bits.js";
import { TickClock } from "./clock.js";
import { Emitter } from "./emitter.js";
import { Entity, type Tier } from "./entity.js";
import { Land, LAND_SECTION, type LandApplied } from "./land.js";
import { Prediction } from "./prediction.js";
import { Replica, type Applied, type OwnPlace, type Section } from "./replica.js";
import { layoutOf } from "./schema.js";
import type {
  CellToSet,
  EnterAnswer,
  EnterFields,
  EntityChange,
  InputFields,
  SpawnFields,
  WorldClosed,
  WorldInfo,
  WorldRequests,
  WorldView,
} from "./shapes.js";
import { Traffic } from "./stats.js";
import { Steering, type Move } from "./steering.js";

export type EnterOptions = Omit<EnterFields, "world"> & {
  /** Inputs a second while one moves; the world's ticks at most, which is also the default. */
  inputRate?: number;
};

export interface WorldEvents {
  /** Somebody or something came into sight. */
  enter: (entity: Entity) => void;
  /** It went out of sight, or is no more. */
  leave: (entity: Entity) => void;
  /** Something else was told of it. */
  change: (entity: Entity) => void;
  /** One has another entity than before, or none. */
  own: (id: number | null) => void;
  /** One is not where one thought: `by` is how far off that was. */
  corrected: (correction: { at: readonly number[]; by: number; input: number }) => void;
  /** A frame was read. */
  tick: (tick: number) => void;
  /** Land came, changed, or is out of reach. */
  land: (land: LandApplied) => void;
  /** A part of a frame that is neither about entities nor about land. */
  section: (section: Section) => void;
  /** The connection is lost, or one is in again. */
  phase: (phase: WorldPhase) => void;
  /** The world is closed here. With `again` it's entered anew by itself. */
  closed: (closed: { reason: string; again: boolean }) => void;
}

/** `away`: the connection is lost, or one is coming back; what was seen last stays. */
export type WorldPhase = "in" | "away" | "left";

export interface WorldStats {
  tick: number;
  /** In the last second; all headers of WebSocket and Socket.IO are left out. */
  bytesPerSecond: number;
  framesPerSecond: number;
  /** Ticks that came with a later one, because this client had yet to take the frame before. */
  mergedPerSecond: number;
  frames: number;
  bytes: number;
  merged: number;
  entities: number;
  /** Entities by how late what is told of them comes. */
  tiers: Record<Tier, number>;
  /** How old what is known of the places of those that move is, in milliseconds: the oldest, and the middle one. */
  oldest: number;
  middleAge: number;
  /** Parcels that the budget makes late. */
  late: number;
  /** Everything in sight is there. */
  settled: boolean;
  /** How often farther tiers are told, of what they would be if the world had less to do: 1, 0.5, 0.25 or 0.125. */
  eased: number;
  /** How fast time passes in the world: 1 is real time. */
  pace: number;
  /** Inputs that were sent and not yet answered by a frame. */
  inputsWaiting: number;
}

/** What a world needs of its connection. */
export interface WorldWire {
  request<K extends keyof WorldRequests>(
    event: K,
    fields: WorldRequests[K]["fields"],
  ): Promise<WorldRequests[K]["answer"]>;
  input(fields: InputFields): void;
  /** Says which frame was read last. */
  seen(tick: number): void;
  /** Enters again. `entered` is called before anything else that comes is read. */
  enter(fields: EnterFields, entered: (answer: EnterAnswer) => void): Promise<void>;
  left(world: World): void;
}

/** Where nothing else says how far one may jump. */
const JUMP_S = 0.75;

export class World extends Emitter<WorldEvents> {
  readonly name: string;
  readonly entities = new Map<number, Entity>();
  info: WorldInfo;
  /** Names this stay; it goes on when one comes back soon. */
  session: string;
  phase: WorldPhase = "in";
  readonly #wire: WorldWire;
  readonly #options: EnterFields;
  readonly #traffic = new Traffic();
  readonly #inputRate: number | undefined;
  #replica: Replica;
  #land: Land | null;
  #clock: TickClock;
  #own: number | null;
  #prediction: Prediction;
  #steering: Steering;
  /** Entities that were there before one came back, and have not been told of again. */
  readonly #unsure = new Set<number>();
  #last = { tick: 0, late: 0, settled: false, eased: 1 };
  #retry: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;
  #broke = -Infinity;
  /** When it was last said what was read. */
  #said = -Infinity;

  constructor(wire: WorldWire, options: EnterFields, answer: EnterAnswer, inputRate?: number) {
    super();
    this.#wire = wire;
    this.#options = options;
    this.#inputRate = inputRate;
    this.name = options.world;
    this.info = answer.world;
    this.session = answer.session;
    this.#own = answer.entity;
    this.#replica = replicaOf(answer.world);
    this.#land = landOf(answer.world);
    this.#clock = new TickClock(answer.world.hz);
    this.#prediction = new Prediction(answer.at, answer.world.bounds, this.#snap(), now());
    this.#steering = this.#steer();
  }

  /** One's own entity's number; null for a spectator. */
  get own(): number | null {
    return this.#own;
  }

  /** The tiles or blocks around one; null: the world has none. */
  get land(): Land | null {
    return this.#land;
  }

  /** One's own entity, once it was told of. */
  get me(): Entity | undefined {
    return this.#own === null ? undefined : this.entities.get(this.#own);
  }

  /** Where one is, by one's own reckoning. */
  get position(): readonly number[] {
    return this.#prediction.at;
  }

  /** Moves everything to where it is at a time (of `performance.now()`), and gives the entities. */
  at(time: number = now()): ReadonlyMap<number, Entity> {
    const tick = this.#clock.at(time);
    for (const entity of this.entities.values()) entity.show(tick, time);
    this.#prediction.advance(time, this.#clock.pace);
    this.me?.put(this.#prediction.shown(time), this.#prediction.velocity);
    return this.entities;
  }

  /** Where one is shown, also before one's own entity was told of. As of the last `at()`. */
  shown(time: number = now()): number[] {
    return this.#prediction.shown(time);
  }

  /** Moves one's own entity: here at once, there with the next input. */
  move(move: Move): void {
    if (this.phase === "left" || this.#own === null) return;
    // What one looks like goes along when one comes back.
    if (move.fields) this.#options.fields = { ...this.#options.fields, ...move.fields };
    this.#steering.move(move);
  }

  /** Looks farther, nearer, or for something else. */
  async look(look: { view?: WorldView; budget?: number }): Promise<void> {
    await this.#wire.request("world:look", look);
    Object.assign(this.#options, look);
  }

  async spawn(fields: SpawnFields): Promise<number> {
    return (await this.#wire.request("world:spawn", fields)).entity;
  }

  async change(entity: number, change: EntityChange): Promise<void> {
    await this.#wire.request("world:change", { entity, ...change });
  }

  async remove(entity: number): Promise<void> {
    await this.#wire.request("world:remove", { entity });
  }

  /** Sets cells of the land. Their versions. */
  async set(cells: CellToSet[]): Promise<number[]> {
    return (await this.#wire.request("world:set", { cells })).versions;
  }

  async leave(): Promise<void> {
    if (this.phase === "left") return;
    this.end();
    await this.#wire.request("world:leave", {});
  }

  get stats(): WorldStats {
    const rates = this.#traffic.rates(now());
    const tiers: Record<Tier, number> = { fresh: 0, soon: 0, late: 0, still: 0 };
    const ages: number[] = [];
    for (const entity of this.entities.values()) {
      const { tier } = entity;
      tiers[tier] += 1;
      if (tier !== "still" && entity.moves) ages.push(entity.age);
    }
    ages.sort((a, b) => a - b);
    const { frames, bytes, merged } = this.#traffic;
    return {
      ...this.#last,
      bytesPerSecond: rates.bytes,
      framesPerSecond: rates.frames,
      mergedPerSecond: rates.merged,
      frames,
      bytes,
      merged,
      entities: this.entities.size,
      tiers,
      oldest: ages.at(-1) ?? 0,
      middleAge: ages[ages.length >> 1] ?? 0,
      pace: this.#clock.pace,
      inputsWaiting: this.#prediction.waiting,
    };
  }

  /** A frame came. For the connection. */
  frame(bytes: Uint8Array): void {
    // What still comes of the time before one enters again is of no use.
    if (this.phase !== "in") return;
    const time = now();
    let applied: Applied;
    let landed: LandApplied[];
    try {
      applied = this.#replica.apply(bytes);
      landed = this.#readLand(applied.sections);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#broken(time);
      return;
    }
    this.#clock.heard(applied.tick, applied.dilation, time);
    this.#traffic.frame(applied.merged, bytes.length, time);
    const { tick, late, settled, ease } = applied;
    this.#last = { tick, late, settled, eased: 1 / 2 ** ease };
    this.#answered(applied, time);
    this.#show(applied, time);
    this.#saySeen(tick, time);
    for (const land of landed) this.emit("land", land);
    for (const section of applied.sections) {
      if (section.part !== LAND_SECTION) this.emit("section", section);
    }
    this.emit("tick", applied.tick);
  }

  /** The connection is lost. For the connection. */
  away(): void {
    if (this.phase !== "in") return;
    this.#steering.stop();
    this.#phase("away");
  }

  /** Enters again. For the connection. */
  comeBack(): void {
    if (this.phase !== "away") return;
    clearTimeout(this.#retry);
    const fields = { ...this.#options, session: this.session, at: [...this.#prediction.at] };
    const entered = (answer: EnterAnswer) => this.#again(answer);
    this.#wire.enter(fields, entered).catch((error: unknown) => this.#notBack(error));
  }

  /** The world is closed. For the connection. */
  closed({ reason, again }: WorldClosed): void {
    if (this.phase === "left") return;
    this.emit("closed", { reason, again });
    if (!again) {
      this.end();
      return;
    }
    this.away();
    this.comeBack();
  }

  /** One is in it no more. For the connection. */
  end(): void {
    clearTimeout(this.#retry);
    this.#steering.stop();
    this.#wire.left(this);
    this.#phase("left");
  }

  #again(answer: EnterAnswer): void {
    if (this.phase !== "away") return;
    const time = now();
    this.#tries = 0;
    this.info = answer.world;
    this.session = answer.session;
    this.#replica = replicaOf(answer.world);
    this.#land = landOf(answer.world);
    this.#clock = new TickClock(answer.world.hz);
    for (const id of this.entities.keys()) this.#unsure.add(id);
    this.#prediction.restart(answer.at, time);
    this.#steering = this.#steer();
    this.#owns(answer.entity);
    this.#phase("in");
    if (this.#prediction.moves) this.#steering.again();
  }

  /** A frame can't be read. That mends itself once; what goes on breaking is not asked for without end. */
  #broken(time: number): void {
    const soon = time - this.#broke < BROKEN_AGAIN_MS;
    this.#broke = time;
    this.away();
    if (soon) this.#retry = setTimeout(() => this.comeBack(), RETRY_MAX_MS);
    else this.comeBack();
  }

  #notBack(error: unknown): void {
    if (this.phase !== "away") return;
    if (error instanceof LakhError && !error.retryable) {
      this.emit("closed", { reason: error.message, again: false });
      this.end();
      return;
    }
    // One is called again when there is a connection.
    if (error instanceof LakhError && error.code === "disconnected") return;
    const wait = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** this.#tries);
    this.#tries += 1;
    this.#retry = setTimeout(() => this.comeBack(), wait);
  }

  #readLand(sections: readonly Section[]): LandApplied[] {
    const land = this.#land;
    if (!land) return [];
    return sections
      .filter(({ part }) => part === LAND_SECTION)
      .map(({ bytes }) => land.apply(bytes));
  }

  /**
   * The server can't see what waits on the way. Who says what was read, and is far behind it, is sent less until that is
   * read, too; so it has to be said all the time. Inputs say it by the way.
   */
  #saySeen(tick: number, time: number): void {
    if (time - this.#said < SEEN_EVERY_MS) return;
    this.#said = time;
    this.#wire.seen(tick);
  }

  #answered({ own, input }: Applied, time: number): void {
    this.#prediction.taken(input);
    if (!own) return;
    this.#owns(own.id);
    this.#correct(own, input, time);
  }

  #correct({ position, velocity }: OwnPlace, input: number, time: number): void {
    this.#prediction.advance(time, this.#clock.pace);
    const by = this.#prediction.correct(position, time);
    // Who stands by one's own reckoning, and is moved by the server, goes along.
    if (!this.#prediction.moves) this.#prediction.steer(velocity);
    this.emit("corrected", { at: position, by, input });
  }

  #owns(id: number | null): void {
    if (id === this.#own) return;
    this.#own = id;
    this.emit("own", id);
  }

  #show({ entered, left, changed, settled }: Applied, time: number): void {
    const tick = this.#clock.at(time);
    for (const id of left) this.#gone(id);
    for (const id of entered) this.#came(id, tick, time);
    for (const id of changed) {
      const entity = this.entities.get(id);
      const home = this.#replica.home(id);
      if (!entity || !home) continue;
      entity.tell(this.#replica, home, tick, time, this.#snap());
      this.emit("change", entity);
    }
    if (!settled) return;
    for (const id of this.#unsure) this.#gone(id);
    this.#unsure.clear();
  }

  #came(id: number, tick: number, time: number): void {
    const home = this.#replica.home(id);
    if (!home) return;
    const known = this.entities.get(id);
    if (known) {
      // It was there before the connection was lost, and is now.
      this.#unsure.delete(id);
      known.tell(this.#replica, home, tick, time, this.#snap());
      this.emit("change", known);
      return;
    }
    const entity = new Entity(id, this.#replica, home, tick, time);
    this.entities.set(id, entity);
    this.emit("enter", entity);
  }

  #gone(id: number): void {
    const entity = this.entities.get(id);
    if (!entity) return;
    this.entities.delete(id);
    this.emit("leave", entity);
  }

  #phase(phase: WorldPhase): void {
    if (this.phase === phase) return;
    this.phase = phase;
    this.emit("phase", phase);
  }

  #steer(): Steering {
    const { hz, max_speed: maxSpeed } = this.info;
    return new Steering({
      prediction: this.#prediction,
      send: (input) => {
        if (this.phase !== "in") return;
        const { tick } = this.#last;
        this.#said = now();
        this.#wire.input(tick === 0 ? input : { ...input, seen: tick });
      },
      now,
      pace: () => this.#clock.pace,
      rate: Math.min(hz, this.#inputRate ?? hz),
      maxSpeed,
    });
  }

  #snap(): number {
    const { max_speed: speed, schema } = this.info;
    const fastest = Math.max(speed ?? 0, ...schema.kinds.map(({ velocity }) => velocity?.max ?? 0));
    return fastest > 0 ? fastest * JUMP_S : Infinity;
  }
}

const RETRY_MS = 500;
const RETRY_MAX_MS = 10_000;
const BROKEN_AGAIN_MS = 30_000;
const SEEN_EVERY_MS = 400;

function replicaOf({ schema, cell_bits }: WorldInfo): Replica {
  return new Replica(layoutOf(schema, cell_bits));
}

function landOf({ land }: WorldInfo): Land | null {
  return land ? new Land(land) : null;
}

function now(): number {
  return performance.now();
}
