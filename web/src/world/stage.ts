/**
 * The canvas: draws the world around one, as often as the screen does, and takes keys, mouse and fingers. It holds no
 * state of the page; what it is to do is said by `tool`, what it finds is asked from the session.
 */
import type { Entity, World } from "lakh-client";
import { Figures, type Sort } from "./draw/figures.ts";
import { Ground } from "./draw/ground.ts";
import { Labels } from "./draw/labels.ts";
import { drawBrush, drawTiles } from "./draw/land.ts";
import { drawEdge, drawTarget } from "./draw/marks.ts";
import { Minimap } from "./draw/minimap.ts";
import { paletteOf, type Palette } from "./draw/palette.ts";
import { drawThing, isTall, sceneryIn, type Thing } from "./draw/scenery.ts";
import { Camera } from "./model/camera.ts";
import { pointOf, type Point } from "./model/geometry.ts";
import { Walking } from "./model/walking.ts";
import { Keys } from "./keys.ts";
import { Pointing } from "./pointing.ts";
import type { WorldSession } from "./session.ts";

/** Units a second. */
const WALK = 7;
const RUN = 14;
/** Pieces of the ground that are made for one picture. */
const PIECES = 2;

/** Null: one walks. A number: tiles are painted with it, 0 takes paint away. */
export type Tool = number | null;

export class Stage {
  readonly camera = new Camera();
  readonly walking = new Walking();
  tool: Tool = null;
  /** Shows how old what is known of each is. */
  ages = false;
  still = false;
  readonly #session: WorldSession;
  readonly #canvas: HTMLCanvasElement;
  readonly #pen: CanvasRenderingContext2D;
  readonly #minimap: Minimap;
  readonly #figures = new Figures();
  readonly #labels = new Labels();
  readonly #pointing: Pointing;
  readonly #keys: Keys;
  #palette: Palette;
  #ground: Ground;
  #runs = false;
  #way: Point = { x: 0, y: 0 };
  #frame = 0;
  #time = 0;
  readonly #observer: ResizeObserver;

  constructor(session: WorldSession, canvas: HTMLCanvasElement, map: HTMLCanvasElement) {
    const pen = canvas.getContext("2d", { alpha: false });
    if (!pen) throw new Error("This browser has no canvas to draw on.");
    this.#session = session;
    this.#canvas = canvas;
    this.#pen = pen;
    this.#palette = paletteOf(document.body, false);
    this.#ground = new Ground(this.#palette);
    this.#minimap = new Minimap(map, session.painting);
    this.#pointing = new Pointing(canvas, this);
    this.#keys = new Keys(canvas, this);
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(canvas);
    document.addEventListener("visibilitychange", this.halt);
    this.#resize();
    this.#frame = requestAnimationFrame((time) => this.#draw(time));
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    this.#observer.disconnect();
    this.#pointing.close();
    this.#keys.close();
    document.removeEventListener("visibilitychange", this.halt);
    this.halt();
  }

  /** Stands still, also where nobody looks and nothing is drawn. */
  readonly halt = (): void => {
    this.walking.stop();
    if (this.#way.x === 0 && this.#way.y === 0) return;
    this.#way = { x: 0, y: 0 };
    this.#session.world?.move({ velocity: [0, 0] });
  };

  dress(dark: boolean): void {
    this.#palette = paletteOf(document.body, dark);
    this.#ground = new Ground(this.#palette);
    this.#figures.forget();
    this.#minimap.forget();
  }

  /** The small map shows all that one sees. */
  seeAsFar(units: number): void {
    this.#minimap.reach = units;
  }

  /** A key went down. Whether it meant something here. */
  press(event: KeyboardEvent): boolean {
    this.#runs = event.shiftKey;
    if (this.walking.press(event.code)) return true;
    if (event.code === "Space" || event.code === "Enter") {
      // Elsewhere they press a button.
      if (this.tool === null || event.target !== this.#canvas) return false;
      const { world } = this.#session;
      if (world) this.paint(pointOf(world.position), null);
      return true;
    }
    if (event.key === "+" || event.key === "=") this.camera.zoomBy(1.25);
    else if (event.key === "-") this.camera.zoomBy(0.8);
    else return false;
    return true;
  }

  release(event: KeyboardEvent): void {
    this.#runs = event.shiftKey;
    this.walking.release(event.code);
  }

  /** Paints where one points; `from`: where one pointed before, in one stroke. */
  paint(at: Point, from: Point | null): void {
    if (this.tool === null) return;
    const { painting } = this.#session;
    for (const { x, y } of this.#pointing.stroke(at, from, painting.land?.plan.cell ?? 1)) {
      painting.paint(x, y, this.tool);
    }
  }

  /** To a place, or to where the world ends before it. */
  walkTo({ x, y }: Point, held: boolean): void {
    const bounds = this.#session.world?.info.bounds;
    const cut = (at: number, axis: number) =>
      Math.min(Math.max(at, bounds?.min[axis] ?? -Infinity), bounds?.max[axis] ?? Infinity);
    this.walking.goTo({ x: cut(x, 0), y: cut(y, 1) }, held);
  }

  #resize(): void {
    const { clientWidth, clientHeight } = this.#canvas;
    const ratio = window.devicePixelRatio;
    this.#canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.#canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    this.camera.resize(clientWidth, clientHeight);
  }

  #draw(time: number): void {
    this.#frame = requestAnimationFrame((next) => this.#draw(next));
    const passed = Math.min(100, time - this.#time);
    this.#time = time;
    const { world } = this.#session;
    const now = performance.now();
    if (world) {
      this.#steer(world, passed / 1000);
      world.at(now);
      this.camera.follow(pointOf(world.shown(now)), passed, this.still);
    }
    const ratio = window.devicePixelRatio;
    this.#pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#paintGround(world);
    if (world) {
      this.#paintLiving(world, time);
      this.#minimap.draw(world, this.camera, this.#palette, time);
    }
  }

  #steer(world: World, seconds: number): void {
    const { held } = this.#pointing;
    if (held && this.tool === null && this.walking.target) this.walkTo(held, true);
    const speed = Math.min(this.#runs ? RUN : WALK, world.info.max_speed ?? RUN);
    const here = pointOf(world.position);
    const { bounds } = world.info;
    const way = within(here, this.walking.direction(here, speed * seconds), bounds);
    const velocity = { x: way.x * speed, y: way.y * speed };
    const turned = Math.hypot(velocity.x - this.#way.x, velocity.y - this.#way.y);
    const moves = way.x !== 0 || way.y !== 0;
    // A little off is no turn; but who stops, stops.
    if (turned === 0 || (moves && turned < 0.02)) return;
    this.#way = velocity;
    const rotation = Math.atan2(way.y, way.x);
    world.move({ velocity: [velocity.x, velocity.y], ...(moves ? { rotation } : {}) });
  }

  #paintGround(world: World | null): void {
    const { camera } = this;
    this.#ground.draw(this.#pen, camera, this.#palette, PIECES);
    if (world?.info.bounds) drawEdge(this.#pen, camera, world.info.bounds, this.#palette);
    const { painting } = this.#session;
    const { land } = painting;
    if (!land) return;
    const valueOf = (x: number, y: number) => painting.valueOf(x, y);
    drawTiles(this.#pen, camera, land.plan.cell, valueOf, this.#palette);
    const brush = this.tool === null ? null : this.#pointing.hovered;
    if (!brush) return;
    const [x = 0, y = 0] = land.cellAt([brush.x, brush.y]);
    drawBrush(this.#pen, camera, land.plan.cell, { x, y }, this.#palette.accent);
  }

  /** All that stands, from back to front, then what is written over it. */
  #paintLiving(world: World, time: number): void {
    const area = this.camera.area(3);
    const scenery = sceneryIn(area).filter((thing) => !this.#isPainted(thing));
    for (const thing of scenery) if (!isTall(thing)) this.#paintThing(thing);
    if (this.walking.target) drawTarget(this.#pen, this.camera, this.walking.target, this.#palette);
    const seen = [...world.entities.values()].filter(({ position: [x = 0, y = 0] }) => {
      return x > area.left && x < area.right && y > area.top && y < area.bottom;
    });
    const standing = [
      ...scenery
        .filter(isTall)
        .map((thing) => ({ y: thing.y, paint: () => this.#paintThing(thing) })),
      ...seen.map((entity) => ({
        y: entity.position[1] ?? 0,
        paint: () => this.#paintFigure(entity, time),
      })),
    ];
    standing.sort((a, b) => a.y - b.y);
    for (const { paint } of standing) paint();
    for (const entity of seen) this.#paintLabel(entity, entity.id === world.own);
  }

  #isPainted({ x, y }: Thing): boolean {
    const { painting } = this.#session;
    const [column = 0, row = 0] = painting.land?.cellAt([x, y]) ?? [];
    return painting.valueOf(column, row) !== 0;
  }

  #paintThing(thing: Thing): void {
    const { x, y } = this.camera.toScreen(thing);
    this.#pen.translate(x, y);
    drawThing(this.#pen, thing, this.#palette, this.camera.zoom);
    this.#pen.translate(-x, -y);
  }

  #paintFigure(entity: Entity, time: number): void {
    const { x, y } = this.camera.toScreen(pointOf(entity.position));
    if (this.ages) {
      this.#labels.ring(this.#pen, entity.tier, x, y, this.camera.zoom, this.#palette);
    }
    const { color } = entity.fields;
    const [vx = 0, vy = 0] = entity.velocity;
    const walks = Math.hypot(vx, vy) > 0.2;
    const told = typeof entity.rotation === "number" ? entity.rotation : Math.PI / 2;
    const figure = {
      sort: sortOf(entity),
      color: typeof color === "number" ? color : 0x808080,
      heading: walks ? Math.atan2(vy, vx) : told,
      walks: walks && !this.still,
    };
    // Not all in step.
    const beat = time + (entity.id % 7) * 61;
    this.#figures.draw(this.#pen, figure, x, y, this.camera.zoom, beat, this.#palette);
  }

  #paintLabel(entity: Entity, own: boolean): void {
    const { zoom } = this.camera;
    const { x, y } = this.camera.toScreen(pointOf(entity.position));
    if (this.ages && entity.moves)
      this.#labels.age(this.#pen, entity.age, x, y, zoom, this.#palette);
    const { name } = entity.fields;
    const named = entity.kind === "person" && typeof name === "string" && name !== "";
    if (!named) return;
    const above = zoom < 9 ? 10 : zoom * 1.85;
    this.#labels.name(this.#pen, name, x, y - above, this.#palette, own);
  }
}

/** A way that the edge doesn't end. */
function within(here: Point, way: Point, bounds: World["info"]["bounds"]): Point {
  const blocked = (axis: number, at: number, by: number) =>
    (by > 0 && at >= (bounds?.max[axis] ?? Infinity)) ||
    (by < 0 && at <= (bounds?.min[axis] ?? -Infinity));
  return {
    x: blocked(0, here.x, way.x) ? 0 : way.x,
    y: blocked(1, here.y, way.y) ? 0 : way.y,
  };
}

function sortOf({ kind }: Entity): Sort {
  return kind === "person" || kind === "bot" ? kind : "thing";
}
