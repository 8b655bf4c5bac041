/**
 * One's stay in a world: the connection, the world itself, and what the page shows of it beside the canvas. What keeps the
 * world true over lost connections is lakh-client's.
 */
import {
  Lakh,
  LakhError,
  type ConnectionState,
  type Entity,
  type EnterOptions,
  type LakhOptions,
  type World,
  type WorldClient,
  type WorldInfo,
  type WorldStats,
} from "lakh-client";
import { Notices } from "../app/notices.ts";
import type { Shelf } from "../app/storage.ts";
import { Store } from "../app/store.ts";
import { authOf, personOf, type Identity } from "../signin/identity.ts";
import { personTone } from "../ui/person.ts";
import { Painting } from "./model/painting.ts";
import { COATS } from "./model/tiles.ts";

export interface SeenPerson {
  id: number;
  name: string;
  color: number;
  own: boolean;
  /** In units; 0 for oneself. */
  distance: number;
}

export interface WorldState {
  readonly connection: ConnectionState;
  /** Null: not in yet. */
  readonly info: WorldInfo | null;
  /** The connection is there, but one is only coming back into the world. */
  readonly back: boolean;
  readonly stats: WorldStats | null;
  /** Bytes a second, the last minute's, oldest first. */
  readonly traffic: readonly number[];
  /** In sight, the nearest first. */
  readonly people: readonly SeenPerson[];
  readonly bots: number;
  /** Where one is. */
  readonly at: { x: number; y: number; walks: boolean } | null;
  /** Tiles in sight that were painted. */
  readonly tiles: number;
  readonly coat: number;
  /** What one asks for: how far to see, and bytes a second. */
  readonly sight: number;
  readonly budget: number;
  /** Why one is not let in, or no more. */
  readonly refusal: string | null;
}

export interface WorldSessionOptions {
  auth: Identity;
  world: string;
  shelf: Shelf;
  /** Absent: the page's own origin. */
  url?: string;
  manager?: LakhOptions["manager"];
}

/** Why a world is closed, for people. */
const REASONS: Record<string, string> = {
  deleted: "This world was deleted.",
  taken: "You went on in another window.",
  removed: "Somebody took you out of this world.",
};
const LOOK_EVERY_MS = 250;
const TRAFFIC_POINTS = 240;
/** Others let bots loose, too: asked for at every so many looks. */
const LOOKS_A_COUNT = 20;
const MAX_NAME_BYTES = 32;
const SIGHT = 60;
const BUDGET = 65_536;
/** In units: how far from the middle newcomers stand. */
const STEP_ASIDE = 7;

export class WorldSession {
  readonly state: Store<WorldState>;
  readonly name: string;
  readonly painting: Painting;
  readonly notices = new Notices();
  readonly #client: WorldClient;
  readonly #lakh: Lakh;
  readonly #shelf: Shelf;
  readonly #me: string;
  #world: World | null = null;
  #entering = false;
  #ended = false;
  #looks = 0;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor({ auth, world, shelf, url, manager }: WorldSessionOptions) {
    const me = personOf(auth);
    this.name = world;
    this.#me = me.name;
    this.#shelf = shelf;
    this.#lakh = new Lakh(url, {
      auth: authOf(auth),
      autoConnect: false,
      ...(manager ? { manager } : {}),
    });
    this.#client = this.#lakh.world;
    const coat = COATS[personTone(me.id)]?.color ?? 0;
    this.state = new Store<WorldState>({
      connection: this.#client.state,
      info: null,
      back: true,
      stats: null,
      traffic: [],
      people: [],
      bots: 0,
      at: null,
      tiles: 0,
      coat,
      sight: SIGHT,
      budget: BUDGET,
      refusal: null,
    });
    this.painting = new Painting((cells) => this.#paint(cells));
    this.#client.onState((connection) => {
      this.#update({ connection });
      if (connection.status === "connected") void this.#enter();
    });
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#client.connect();
  }

  /** The world, once one is in. */
  get world(): World | null {
    return this.#world;
  }

  close(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.notices.quiet();
    // Who looks elsewhere is gone at once; only who loses the connection may stand there for a while.
    void this.#world?.leave().catch(() => {
      // It ends with the connection, then.
    });
    this.#lakh.close();
  }

  /** Tries now, whatever kept the connection away. */
  reconnect(): void {
    this.#lakh.reconnectNow();
    this.#client.connect();
  }

  /** Tries to come in again, after a refusal. */
  again(): void {
    this.#update({ refusal: null });
    this.#world = null;
    void this.#enter();
  }

  setCoat(color: number): void {
    this.#update({ coat: color });
    this.#world?.move({ fields: { color } });
  }

  async lookAround(look: { sight?: number; budget?: number }): Promise<void> {
    this.#update(look);
    const { sight, budget } = this.state.get();
    await this.notices.attempt(async () => this.#world?.look({ view: sight, budget }));
  }

  async setBots(count: number): Promise<void> {
    this.#update({ bots: count });
    await this.notices.attempt(async () => {
      const answer = await this.#client.request("world:bots", { count });
      this.#update({ bots: answer.bots });
    });
  }

  async #enter(): Promise<void> {
    if (this.#world || this.#entering || this.#ended) return;
    this.#entering = true;
    try {
      const { sight, budget, coat } = this.state.get();
      const fields = { name: cut(this.#me, MAX_NAME_BYTES), color: coat };
      const session = this.#shelf.read(this.#key());
      const options = { view: sight, budget, ...(session === null ? {} : { session }) };
      this.#begin(await this.#enterAs({ ...options, fields }, options), session);
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      // A lost connection comes back by itself, and then enters.
      if (!error.retryable) this.#update({ refusal: error.message });
      else if (this.state.get().connection.status === "connected") this.#later();
    } finally {
      this.#entering = false;
    }
  }

  /** A world of another schema may know no names or colours: then one goes in without. */
  async #enterAs(dressed: EnterOptions, plain: EnterOptions): Promise<World> {
    try {
      return await this.#client.enter(this.name, dressed);
    } catch (error) {
      if (!(error instanceof LakhError) || error.code !== "bad_request") throw error;
      return this.#client.enter(this.name, plain);
    }
  }

  #later(): void {
    setTimeout(() => void this.#enter(), 2000);
  }

  #begin(world: World, session: string | null): void {
    if (this.#ended) return;
    this.#world = world;
    this.#shelf.write(this.#key(), world.session);
    this.#update({ info: world.info, back: true, refusal: null });
    world.on("phase", (phase) => {
      this.#update({ back: phase === "in", info: world.info });
      if (phase === "in") this.#shelf.write(this.#key(), world.session);
    });
    world.on("closed", ({ reason, again }) => {
      if (!again) this.#update({ refusal: REASONS[reason] ?? reason });
    });
    this.painting.follow(world);
    this.#scatter(world, session);
    void this.#countBots();
  }

  /** Newcomers do not all stand on one spot. */
  #scatter(world: World, session: string | null): void {
    const { spawn, max_speed: speed } = world.info;
    if (session !== null) return;
    // They look at whoever looks at the page.
    world.move({ rotation: Math.PI / 2 });
    const atSpawn = spawn?.every((x, axis) => x === world.position[axis]);
    if (!spawn || !atSpawn || (speed ?? STEP_ASIDE) < STEP_ASIDE) return;
    const turn = Math.random() * 2 * Math.PI;
    const [x = 0, y = 0, ...rest] = spawn;
    const far = STEP_ASIDE * (0.4 + 0.6 * Math.random());
    const at = [x + far * Math.cos(turn), y + far * Math.sin(turn), ...rest];
    world.move({ at, velocity: at.map(() => 0) });
  }

  async #countBots(): Promise<void> {
    // A server that knows none of it is told of when one asks for bots.
    const answer = await this.#client.request("world:bots", {}).catch(() => null);
    if (answer) this.#update({ bots: answer.bots });
  }

  /** A stay is of this tab: another tab is somebody beside this one. */
  #key(): string {
    return `lakh.world.${this.name}`;
  }

  #look(): void {
    const world = this.#world;
    if (!world) return;
    this.#looks += 1;
    if (this.#looks % LOOKS_A_COUNT === 0 && document.visibilityState === "visible") {
      void this.#countBots();
    }
    const { stats } = world;
    const traffic = [...this.state.get().traffic, stats.bytesPerSecond].slice(-TRAFFIC_POINTS);
    const entities = [...world.entities.values()];
    const people = entities
      .filter(({ kind }) => kind === "person")
      .map((entity) => this.#person(world, entity))
      .sort((a, b) => a.distance - b.distance);
    const [x = 0, y = 0] = world.position;
    this.#update({
      stats,
      traffic,
      people,
      at: { x, y, walks: world.me?.moves ?? false },
      tiles: this.painting.count(),
    });
  }

  #person(world: World, entity: Entity): SeenPerson {
    const own = entity.id === world.own;
    const { name, color } = entity.fields;
    const away = entity.position.map((x, axis) => x - (world.position[axis] ?? 0));
    return {
      id: entity.id,
      name: typeof name === "string" && name !== "" ? name : `#${entity.id}`,
      color: typeof color === "number" ? color : 0,
      own,
      distance: own ? 0 : Math.hypot(...away),
    };
  }

  async #paint(cells: { at: number[]; value: number }[]): Promise<boolean> {
    return this.notices.attempt(async () => this.#world?.set(cells));
  }

  #update(change: Partial<WorldState>): void {
    this.state.update((state) => ({ ...state, ...change }));
  }
}

/** The beginning of a text that fits into so many bytes of UTF-8. */
export function cut(text: string, most: number): string {
  const encoder = new TextEncoder();
  let fits = "";
  for (const char of text) {
    if (encoder.encode(fits + char).length > most) break;
    fits += char;
  }
  return fits;
}
