/** The small map: all that is in sight, as dots, with the ways and the tiles beneath. */
import type { World } from "lakh-client";
import type { Camera } from "../model/camera.ts";
import { pointOf } from "../model/geometry.ts";
import type { Painting } from "../model/painting.ts";
import { mix, soft, step } from "../model/noise.ts";
import { paintColor } from "../model/tiles.ts";
import { paving } from "./ground.ts";
import { hex, partsOf, type Palette } from "./palette.ts";

const DRAW_EVERY_MS = 66;
/** The ground is made anew when one has gone so many of its pixels. */
const SHIFT = 3;
const GROUND = 96;

export class Minimap {
  /** How far it shows, in units from its middle. */
  reach = 60;
  readonly #canvas: HTMLCanvasElement;
  readonly #pen: CanvasRenderingContext2D | null;
  readonly #painting: Painting;
  readonly #ground = document.createElement("canvas");
  #groundAt: { x: number; y: number; reach: number } | null = null;
  #last = 0;

  constructor(canvas: HTMLCanvasElement, painting: Painting) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext("2d");
    this.#painting = painting;
    this.#ground.width = this.#ground.height = GROUND;
  }

  forget(): void {
    this.#groundAt = null;
    this.#last = 0;
  }

  draw(world: World, camera: Camera, palette: Palette, time: number): void {
    const pen = this.#pen;
    if (!pen || time - this.#last < DRAW_EVERY_MS) return;
    this.#last = time;
    const ratio = window.devicePixelRatio;
    const size = this.#canvas.clientWidth;
    if (size === 0) return;
    if (this.#canvas.width !== Math.round(size * ratio)) {
      this.#canvas.width = this.#canvas.height = Math.round(size * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const scale = size / 2 / this.reach;
    const { x: mx, y: my } = camera;
    const at = (x: number, y: number) => [(x - mx) * scale + size / 2, (y - my) * scale + size / 2];
    this.#drawGround(pen, mx, my, size, palette);
    this.#drawTiles(pen, mx, my, scale, size);
    for (const entity of world.entities.values()) {
      const { x, y } = pointOf(entity.position);
      const [px = 0, py = 0] = at(x, y);
      const { color } = entity.fields;
      pen.fillStyle = hex(typeof color === "number" ? color : 0x808080);
      const person = entity.kind === "person";
      const radius = person ? 3.2 : 1.7;
      pen.beginPath();
      pen.arc(px, py, radius, 0, 2 * Math.PI);
      pen.fill();
      if (!person) continue;
      pen.strokeStyle = palette.surface;
      pen.lineWidth = 1.5;
      pen.stroke();
    }
    this.#drawSelf(pen, camera, scale, size, palette);
  }

  #drawSelf(
    pen: CanvasRenderingContext2D,
    camera: Camera,
    scale: number,
    size: number,
    palette: Palette,
  ): void {
    const wide = (camera.width / camera.zoom) * scale;
    const high = (camera.height / camera.zoom) * scale;
    pen.strokeStyle = palette.ink;
    pen.globalAlpha = 0.45;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.roundRect((size - wide) / 2, (size - high) / 2, wide, high, 3);
    pen.stroke();
    pen.globalAlpha = 1;
    pen.fillStyle = palette.accent;
    pen.strokeStyle = palette.surface;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(size / 2, size / 2, 4.5, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }

  #drawTiles(
    pen: CanvasRenderingContext2D,
    mx: number,
    my: number,
    scale: number,
    size: number,
  ): void {
    const { land } = this.#painting;
    if (!land) return;
    const { cell, edge, fill } = land.plan;
    const dot = Math.max(1, cell * scale + 0.3);
    for (const { at, cells } of land.chunks()) {
      if (!cells) continue;
      const [cx = 0, cy = 0] = at;
      for (let index = 0; index < edge * edge; index += 1) {
        const value = cells[index] ?? fill;
        if (value === 0) continue;
        const x = (cx * edge + (index % edge)) * cell;
        const y = (cy * edge + Math.floor(index / edge)) * cell;
        pen.fillStyle = hex(paintColor(value));
        pen.fillRect((x - mx) * scale + size / 2, (y - my) * scale + size / 2, dot, dot);
      }
    }
  }

  #drawGround(
    pen: CanvasRenderingContext2D,
    x: number,
    y: number,
    size: number,
    palette: Palette,
  ): void {
    const pixel = (2 * this.reach) / GROUND;
    const known = this.#groundAt;
    const far = known ? Math.hypot(known.x - x, known.y - y) / pixel : Infinity;
    if (known?.reach !== this.reach || far > SHIFT) this.#makeGround(x, y, palette);
    const at = this.#groundAt ?? { x, y };
    const scale = size / 2 / this.reach;
    pen.fillStyle = palette.grass;
    pen.fillRect(0, 0, size, size);
    pen.drawImage(this.#ground, (at.x - x) * scale, (at.y - y) * scale, size, size);
  }

  #makeGround(x: number, y: number, palette: Palette): void {
    this.#groundAt = { x, y, reach: this.reach };
    const pen = this.#ground.getContext("2d");
    if (!pen) return;
    const image = pen.createImageData(GROUND, GROUND);
    const [grass, grass2, path] = [palette.grass, palette.grass2, palette.path2].map(partsOf);
    if (!grass || !grass2 || !path) return;
    for (let index = 0; index < GROUND * GROUND; index += 1) {
      const px = x + (((index % GROUND) + 0.5) / GROUND - 0.5) * 2 * this.reach;
      const py = y + ((Math.floor(index / GROUND) + 0.5) / GROUND - 0.5) * 2 * this.reach;
      const paved = paving(px, py);
      const wood = step(0.45, 0.62, soft(px, py, 20, 23));
      for (let part = 0; part < 3; part += 1) {
        const green = mix(grass[part] ?? 0, grass2[part] ?? 0, wood);
        image.data[index * 4 + part] = mix(green, path[part] ?? 0, paved);
      }
      image.data[index * 4 + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
  }
}
