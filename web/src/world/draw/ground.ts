/**
 * The ground: grass, a square where newcomers come in, and ways that lead away from it. It's made of coordinates alone, in
 * pieces that are drawn once and kept.
 */
import type { Camera } from "../model/camera.ts";
import { mix, noise, soft, step } from "../model/noise.ts";
import { partsOf, type Palette, type Rgb } from "./palette.ts";

/** Units along an edge of a piece, and its pixels a unit. */
const PIECE = 24;
const SHARPNESS = 8;
const KEPT = 80;
/** In pixels, around a piece: the neighbours' own, so that no seam is seen where it's drawn larger. */
const RIM = 1;

const SQUARE = 11;
const WAY = 1.7;

/** How much of the paving there is at a place: 0 is grass. */
export function paving(x: number, y: number): number {
  const far = Math.hypot(x, y);
  const square = 1 - step(SQUARE - 0.4, SQUARE + 0.4, far + (noise(x / 3, y / 3, 5) - 0.5) * 0.8);
  const bend = (along: number, salt: number) =>
    (noise(along / 26, salt, 11) - 0.5) * 14 * step(SQUARE, SQUARE + 30, Math.abs(along));
  const ragged = (soft(x, y, 2, 6) - 0.5) * 0.7;
  const across = Math.min(Math.abs(y - bend(x, 1)), Math.abs(x - bend(y, 2)));
  const ring = Math.abs(far - 58 - (soft(x, y, 34, 12) - 0.5) * 14);
  const way = 1 - step(WAY - 0.3, WAY + 0.3, Math.min(across, ring) + ragged);
  return Math.max(square, way);
}

export class Ground {
  readonly #pieces = new Map<string, HTMLCanvasElement>();
  #colors: { grass: Rgb; grass2: Rgb; path: Rgb; path2: Rgb };

  constructor(palette: Palette) {
    this.#colors = {
      grass: partsOf(palette.grass),
      grass2: partsOf(palette.grass2),
      path: partsOf(palette.path),
      path2: partsOf(palette.path2),
    };
  }

  /** Draws what is to be seen. A few pieces are made each time; the plain colour stands for those to come. */
  draw(pen: CanvasRenderingContext2D, camera: Camera, palette: Palette, budget: number): void {
    pen.fillStyle = palette.grass;
    pen.fillRect(0, 0, camera.width, camera.height);
    const { left, top, right, bottom } = camera.area();
    let left_to_make = budget;
    pen.imageSmoothingEnabled = true;
    for (let row = Math.floor(top / PIECE); row * PIECE < bottom; row += 1) {
      for (let column = Math.floor(left / PIECE); column * PIECE < right; column += 1) {
        const key = `${column} ${row}`;
        let piece = this.#pieces.get(key);
        if (!piece) {
          if (left_to_make === 0) continue;
          left_to_make -= 1;
          piece = this.#make(column, row);
          this.#keep(key, piece);
        }
        const { x, y } = camera.toScreen({ x: column * PIECE, y: row * PIECE });
        const size = PIECE * camera.zoom;
        const pixels = PIECE * SHARPNESS;
        pen.drawImage(piece, RIM, RIM, pixels, pixels, x, y, size + 0.5, size + 0.5);
      }
    }
  }

  #keep(key: string, piece: HTMLCanvasElement): void {
    if (this.#pieces.size >= KEPT) {
      const [oldest] = this.#pieces.keys();
      if (oldest !== undefined) this.#pieces.delete(oldest);
    }
    this.#pieces.set(key, piece);
  }

  #make(column: number, row: number): HTMLCanvasElement {
    const size = PIECE * SHARPNESS + 2 * RIM;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = size;
    const pen = canvas.getContext("2d");
    if (!pen) return canvas;
    const image = pen.createImageData(size, size);
    const { data } = image;
    for (let index = 0; index < size * size; index += 1) {
      const x = column * PIECE + ((index % size) - RIM + 0.5) / SHARPNESS;
      const y = row * PIECE + (Math.floor(index / size) - RIM + 0.5) / SHARPNESS;
      const color = this.#at(x, y);
      data.set(color, index * 4);
      data[index * 4 + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
    return canvas;
  }

  #at(x: number, y: number): Rgb {
    const { grass, grass2, path, path2 } = this.#colors;
    const meadow = step(0.32, 0.68, soft(x, y, 12, 1));
    const blade = (soft(x, y, 0.9, 3) - 0.5) * 0.22;
    const paved = paving(x, y);
    const green = blend(grass, grass2, Math.min(1, Math.max(0, meadow + blade)));
    if (paved === 0) return green;
    const sand = blend(path, path2, stones(x, y));
    return blend(green, sand, paved);
  }
}

/** On the square rings of slabs around its middle; elsewhere sand. */
function stones(x: number, y: number): number {
  const far = Math.hypot(x, y);
  if (far > SQUARE) return soft(x, y, 2.2, 4) * 0.7;
  const ring = far / 1.6;
  const around = Math.max(6, Math.round(Math.floor(ring) * 5));
  const turn = ((Math.atan2(y, x) / Math.PI + 1) / 2) * around;
  const gap = (part: number, width: number) =>
    1 - step(0, width, Math.min(part - Math.floor(part), Math.ceil(part) - part));
  const joint = Math.max(
    gap(ring, 0.07),
    far < 1.6 ? 0 : gap(turn, ((0.11 / Math.max(far, 1)) * around) / 5),
  );
  const slab = noise(Math.floor(ring) * 3.7, Math.floor(turn) * 1.9, 8) * 0.45;
  return Math.max(slab, joint);
}

function blend(a: Rgb, b: Rgb, part: number): Rgb {
  return [mix(a[0], b[0], part), mix(a[1], b[1], part), mix(a[2], b[2], part)];
}
