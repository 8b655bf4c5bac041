/** People and bots, drawn once for each colour, way and step, and kept as pictures. */
import { hex, shade, type Palette } from "./palette.ts";

export type Sort = "person" | "bot" | "thing";

/** Ways that a figure looks, and steps of its walk; step 0 stands. */
const WAYS = 8;
const STEPS = 4;
/** In units: how much a picture shows around the feet. */
const WIDE = 2;
const ABOVE = 2.3;
const BELOW = 0.5;
const KEPT = 900;
/** Milliseconds of a step. */
const STEP_MS = 110;

export interface Figure {
  sort: Sort;
  color: number;
  /** Radians; 0 looks to the right. */
  heading: number;
  walks: boolean;
}

export class Figures {
  readonly #pictures = new Map<string, HTMLCanvasElement>();
  #sharpness = 0;

  forget(): void {
    this.#pictures.clear();
  }

  /** Draws a figure with its feet at a place of the screen. */
  draw(
    pen: CanvasRenderingContext2D,
    figure: Figure,
    x: number,
    y: number,
    zoom: number,
    time: number,
    palette: Palette,
  ): void {
    if (zoom < 9) {
      dot(pen, figure, x, y, zoom, palette);
      return;
    }
    this.#sharpen(zoom * window.devicePixelRatio);
    const turn = Math.round((figure.heading / (2 * Math.PI)) * WAYS);
    const way = ((turn % WAYS) + WAYS) % WAYS;
    const step = figure.walks ? 1 + (Math.floor(time / STEP_MS) % STEPS) : 0;
    const key = `${figure.sort} ${figure.color} ${way} ${step}`;
    let picture = this.#pictures.get(key);
    if (!picture) {
      if (this.#pictures.size >= KEPT) this.#pictures.clear();
      picture = this.#make(figure, way, step, palette);
      this.#pictures.set(key, picture);
    }
    const [wide, high] = [WIDE * zoom, (ABOVE + BELOW) * zoom];
    pen.drawImage(picture, x - wide / 2, y - ABOVE * zoom, wide, high);
  }

  /** Pictures are made anew where they would be blurred, or are far too large. */
  #sharpen(wanted: number): void {
    if (wanted <= this.#sharpness && wanted > this.#sharpness / 2.2) return;
    this.#sharpness = wanted * 1.25;
    this.#pictures.clear();
  }

  #make(figure: Figure, way: number, step: number, palette: Palette): HTMLCanvasElement {
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(WIDE * this.#sharpness);
    canvas.height = Math.ceil((ABOVE + BELOW) * this.#sharpness);
    const pen = canvas.getContext("2d");
    if (!pen) return canvas;
    pen.scale(this.#sharpness, this.#sharpness);
    pen.translate(WIDE / 2, ABOVE);
    const angle = (way / WAYS) * 2 * Math.PI;
    const look = { x: Math.cos(angle), y: Math.sin(angle) };
    const phase = step === 0 ? 0 : ((step - 1) / STEPS) * 2 * Math.PI;
    const pose = {
      look,
      swing: step === 0 ? 0 : Math.sin(phase),
      lift: step === 0 ? 0 : Math.abs(Math.cos(phase)) * 0.09,
    };
    oval(pen, palette.shadow, 0.08, 0.04, 0.52, 0.2);
    if (figure.sort === "thing") drawBox(pen, figure.color);
    else if (figure.sort === "bot") drawBot(pen, figure.color, pose);
    else drawPerson(pen, figure.color, pose);
    return canvas;
  }
}

interface Pose {
  look: { x: number; y: number };
  swing: number;
  lift: number;
}

function oval(
  pen: CanvasRenderingContext2D,
  color: string,
  x: number,
  y: number,
  rx: number,
  ry = rx,
): void {
  pen.fillStyle = color;
  pen.beginPath();
  pen.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
  pen.fill();
}

function rounded(
  pen: CanvasRenderingContext2D,
  fill: string | CanvasGradient,
  box: [x: number, y: number, wide: number, high: number],
  radii: number | number[],
): void {
  pen.fillStyle = fill;
  pen.beginPath();
  pen.roundRect(...box, radii);
  pen.fill();
}

function feet(pen: CanvasRenderingContext2D, color: string, { swing }: Pose): void {
  oval(pen, color, -0.2, -0.05 - Math.max(0, swing) * 0.12, 0.17, 0.12);
  oval(pen, color, 0.2, -0.05 - Math.max(0, -swing) * 0.12, 0.17, 0.12);
}

function bodyColor(pen: CanvasRenderingContext2D, color: number): CanvasGradient {
  const body = pen.createLinearGradient(-0.3, -1.6, 0.35, 0);
  body.addColorStop(0, shade(color, 0.28));
  body.addColorStop(0.45, hex(color));
  body.addColorStop(1, shade(color, -0.24));
  return body;
}

function drawPerson(pen: CanvasRenderingContext2D, color: number, pose: Pose): void {
  const { look, lift } = pose;
  feet(pen, shade(color, -0.45), pose);
  pen.translate(0, -lift);
  rounded(pen, bodyColor(pen, color), [-0.5, -1.62, 1, 1.56], [0.5, 0.5, 0.36, 0.36]);
  // A scarf, whose end blows the other way than one looks.
  rounded(pen, shade(color, -0.34), [-0.49, -0.86, 0.98, 0.2], 0.1);
  rounded(pen, shade(color, -0.42), [-0.12 - look.x * 0.26, -0.82, 0.22, 0.42], 0.09);
  if (look.y < -0.4) {
    // From behind: a tuft of hair.
    rounded(pen, shade(color, -0.3), [-0.3 + look.x * 0.1, -1.56, 0.6, 0.36], 0.2);
    return;
  }
  const [x, y] = [look.x * 0.2, -1.16 + look.y * 0.07];
  rounded(pen, "#fff6ea", [x - 0.33, y - 0.24, 0.66, 0.48], 0.24);
  for (const side of [-1, 1]) {
    oval(pen, "#22292c", x + side * 0.145 + look.x * 0.05, y + look.y * 0.04, 0.068, 0.098);
    oval(pen, "#ffffff", x + side * 0.145 + look.x * 0.05 + 0.022, y - 0.04, 0.024);
  }
  oval(pen, "rgb(240 130 110 / 45%)", x - 0.24, y + 0.11, 0.065, 0.045);
  oval(pen, "rgb(240 130 110 / 45%)", x + 0.24, y + 0.11, 0.065, 0.045);
}

function drawBot(pen: CanvasRenderingContext2D, color: number, pose: Pose): void {
  const { look, lift } = pose;
  feet(pen, shade(color, -0.55), pose);
  pen.translate(0, -lift * 0.7);
  pen.strokeStyle = shade(color, -0.4);
  pen.lineWidth = 0.07;
  pen.beginPath();
  pen.moveTo(0, -1.3);
  pen.lineTo(look.x * -0.06, -1.58);
  pen.stroke();
  oval(pen, shade(color, 0.5), look.x * -0.06, -1.62, 0.1);
  rounded(pen, bodyColor(pen, color), [-0.47, -1.34, 0.94, 1.26], [0.3, 0.3, 0.26, 0.26]);
  rounded(pen, shade(color, -0.2), [-0.27, -0.46, 0.54, 0.24], 0.1);
  if (look.y < -0.4) {
    rounded(pen, shade(color, -0.25), [-0.22, -1.12, 0.44, 0.36], 0.1);
    return;
  }
  const [x, y] = [look.x * 0.13, -0.94 + look.y * 0.05];
  rounded(pen, "#1f2a2e", [x - 0.33, y - 0.2, 0.66, 0.4], 0.2);
  for (const side of [-1, 1]) oval(pen, "#9ff0ea", x + side * 0.14 + look.x * 0.05, y, 0.065, 0.09);
}

function drawBox(pen: CanvasRenderingContext2D, color: number): void {
  rounded(pen, shade(color, -0.25), [-0.42, -0.7, 0.84, 0.72], 0.1);
  rounded(pen, bodyColor(pen, color), [-0.42, -0.84, 0.84, 0.62], 0.1);
}

function dot(
  pen: CanvasRenderingContext2D,
  { sort, color }: Figure,
  x: number,
  y: number,
  zoom: number,
  palette: Palette,
): void {
  const size = (sort === "person" ? 0.62 : 0.46) * Math.max(zoom, 5);
  oval(pen, palette.shadow, x + size * 0.1, y + size * 0.3, size, size * 0.7);
  oval(pen, hex(color), x, y - size * 0.4, size);
  oval(pen, shade(color, 0.35), x - size * 0.25, y - size * 0.65, size * 0.35);
}
