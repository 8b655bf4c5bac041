/** What grows and stands about: nobody is sent any of it, it's the same for all by the coordinates. */
import { chance, noise, soft } from "../model/noise.ts";
import { paving } from "./ground.ts";
import type { Palette } from "./palette.ts";

type Sort = "tree" | "pine" | "bush" | "stone" | "flowers" | "tuft";

export interface Thing {
  sort: Sort;
  x: number;
  y: number;
  size: number;
  turn: number;
}

/** One place for something in each square of so many units. */
const GRID = 2.6;
const KEPT = 4000;
const known = new Map<string, Thing | null>();

/** What stands in a part of the world, from back to front. */
export function sceneryIn(area: {
  left: number;
  top: number;
  right: number;
  bottom: number;
}): Thing[] {
  const things: Thing[] = [];
  for (let row = Math.floor(area.top / GRID); row * GRID < area.bottom; row += 1) {
    for (let column = Math.floor(area.left / GRID); column * GRID < area.right; column += 1) {
      const thing = at(column, row);
      if (thing) things.push(thing);
    }
  }
  return things;
}

function at(column: number, row: number): Thing | null {
  const key = `${column} ${row}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  if (known.size > KEPT) known.clear();
  const thing = make(column, row);
  known.set(key, thing);
  return thing;
}

function make(column: number, row: number): Thing | null {
  const x = (column + 0.15 + 0.7 * chance(column, row, 21)) * GRID;
  const y = (row + 0.15 + 0.7 * chance(column, row, 22)) * GRID;
  // A tree's crown is wide: nothing grows over the ways.
  const clear = [0, 1.3, -1.3].every((by) => paving(x + by, y) < 0.1 && paving(x, y + by) < 0.1);
  if (!clear) return null;
  const wood = soft(x, y, 20, 23);
  const meadow = soft(x, y, 12, 24);
  const dice = chance(column, row, 25);
  const size = 0.8 + chance(column, row, 26) * 0.5;
  const turn = chance(column, row, 27);
  const is = (sort: Sort): Thing => ({ sort, x, y, size, turn });
  if (wood > 0.56 && dice < (wood - 0.47) * 2.6)
    return is(noise(x / 40, y / 40, 28) > 0.5 ? "pine" : "tree");
  if (dice < 0.03) return is("tree");
  if (dice < 0.065) return is("bush");
  if (dice < 0.08) return is("stone");
  if (meadow > 0.57 && dice < 0.62) return is("flowers");
  return dice > 0.76 ? is("tuft") : null;
}

/** Whether it stands so high that one is behind it. */
export function isTall({ sort }: Thing): boolean {
  return sort === "tree" || sort === "pine" || sort === "bush";
}

export function drawThing(
  pen: CanvasRenderingContext2D,
  thing: Thing,
  palette: Palette,
  zoom: number,
): void {
  pen.save();
  pen.scale(zoom * thing.size, zoom * thing.size);
  PAINTERS[thing.sort](pen, thing, palette);
  pen.restore();
}

function disc(pen: CanvasRenderingContext2D, x: number, y: number, rx: number, ry = rx): void {
  pen.beginPath();
  pen.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
  pen.fill();
}

const PAINTERS: Record<
  Sort,
  (pen: CanvasRenderingContext2D, thing: Thing, palette: Palette) => void
> = {
  tree(pen, { turn }, palette) {
    pen.fillStyle = palette.shadow;
    disc(pen, 0.35, 0.08, 1.25, 0.5);
    pen.fillStyle = palette.trunk;
    pen.fillRect(-0.13, -0.9, 0.26, 1);
    pen.fillStyle = palette.leaf3;
    disc(pen, 0, -1.5, 1.05, 0.95);
    pen.fillStyle = palette.leaf;
    disc(pen, -0.45, -1.55, 0.68);
    disc(pen, 0.42, -1.62, 0.66);
    disc(pen, 0, -2.05, 0.74);
    pen.fillStyle = palette.leaf2;
    disc(pen, -0.25 + turn * 0.2, -2.15, 0.42);
    disc(pen, 0.45, -1.75, 0.26);
    disc(pen, -0.6, -1.65, 0.26);
  },
  pine(pen, _thing, palette) {
    pen.fillStyle = palette.shadow;
    disc(pen, 0.3, 0.06, 0.95, 0.4);
    pen.fillStyle = palette.trunk;
    pen.fillRect(-0.1, -0.5, 0.2, 0.55);
    const layer = (color: string, bottom: number, wide: number, high: number) => {
      pen.fillStyle = color;
      pen.beginPath();
      pen.moveTo(0, bottom - high);
      pen.quadraticCurveTo(wide * 0.5, bottom - high * 0.35, wide, bottom);
      pen.quadraticCurveTo(0, bottom + 0.32, -wide, bottom);
      pen.quadraticCurveTo(-wide * 0.5, bottom - high * 0.35, 0, bottom - high);
      pen.fill();
    };
    layer(palette.leaf3, -0.4, 0.95, 1.3);
    layer(palette.leaf, -1.05, 0.78, 1.2);
    layer(palette.leaf2, -1.7, 0.56, 1.05);
  },
  bush(pen, { turn }, palette) {
    pen.fillStyle = palette.shadow;
    disc(pen, 0.15, 0.05, 0.85, 0.32);
    pen.fillStyle = palette.leaf3;
    disc(pen, 0, -0.32, 0.78, 0.5);
    pen.fillStyle = palette.leaf;
    disc(pen, -0.3, -0.42, 0.42);
    disc(pen, 0.3, -0.48, 0.4);
    pen.fillStyle = turn > 0.5 ? palette.bloom : palette.bloom2;
    for (const [x, y] of [
      [-0.4, -0.5],
      [0.05, -0.35],
      [0.4, -0.6],
    ] as const) {
      disc(pen, x, y, 0.09);
    }
  },
  stone(pen, { turn }, palette) {
    pen.fillStyle = palette.shadow;
    disc(pen, 0.1, 0.06, 0.6, 0.24);
    pen.fillStyle = palette.stone;
    disc(pen, 0, -0.14, 0.5, 0.34);
    disc(pen, 0.3, -0.02, 0.26, 0.2);
    pen.fillStyle = palette.dark ? "rgb(255 255 255 / 8%)" : "rgb(255 255 255 / 40%)";
    disc(pen, -0.12 + turn * 0.1, -0.26, 0.24, 0.12);
  },
  flowers(pen, { turn, x, y }, palette) {
    const colors = [palette.bloom, palette.bloom2, palette.bloom3];
    const bloom = colors[Math.floor(turn * 3)] ?? palette.bloom;
    for (let index = 0; index < 5; index += 1) {
      const [dx, dy] = [chance(x * 8, index, 31), chance(y * 8, index, 32)];
      pen.fillStyle = bloom;
      disc(pen, (dx - 0.5) * 1.9, (dy - 0.5) * 1.7, 0.12);
      pen.fillStyle = palette.dark ? "rgb(255 255 255 / 22%)" : "rgb(255 255 255 / 75%)";
      disc(pen, (dx - 0.5) * 1.9, (dy - 0.5) * 1.7, 0.045);
    }
  },
  tuft(pen, { turn }, palette) {
    pen.strokeStyle = palette.leaf2;
    pen.lineWidth = 0.07;
    pen.lineCap = "round";
    pen.beginPath();
    for (const x of [-0.16, 0, 0.16]) {
      pen.moveTo(x * 0.5, 0);
      pen.quadraticCurveTo(x, -0.15, x * 1.7 + (turn - 0.5) * 0.1, -0.3);
    }
    pen.stroke();
  },
};
