/** Names over heads, and what is known of how old each is. */
import type { Tier } from "lakh-client";
import type { Palette } from "./palette.ts";

const HEIGHT = 20;
const PADDING = 8;

export class Labels {
  readonly #widths = new Map<string, number>();

  name(
    pen: CanvasRenderingContext2D,
    text: string,
    x: number,
    y: number,
    palette: Palette,
    own: boolean,
  ): void {
    pen.font = `600 12px ${palette.font}`;
    const wide = this.#width(pen, text) + 2 * PADDING;
    const left = Math.round(x - wide / 2);
    const top = Math.round(y - HEIGHT);
    pen.globalAlpha = own ? 1 : 0.9;
    pen.fillStyle = own ? palette.accent : palette.surface;
    pen.beginPath();
    pen.roundRect(left, top, wide, HEIGHT, HEIGHT / 2);
    pen.fill();
    pen.globalAlpha = 1;
    pen.fillStyle = own ? palette.surface : palette.ink;
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    pen.fillText(text, left + PADDING, top + HEIGHT / 2 + 0.5);
  }

  /** A ring at the feet, by its tier. */
  ring(
    pen: CanvasRenderingContext2D,
    tier: Tier,
    x: number,
    y: number,
    zoom: number,
    palette: Palette,
  ): void {
    pen.strokeStyle = tierColor(tier, palette);
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.ellipse(x, y, Math.max(5, zoom * 0.66), Math.max(3, zoom * 0.3), 0, 0, 2 * Math.PI);
    pen.stroke();
  }

  /** How old what is known of it is, where there is room for it. */
  age(
    pen: CanvasRenderingContext2D,
    age: number,
    x: number,
    y: number,
    zoom: number,
    palette: Palette,
  ): void {
    if (zoom < 16) return;
    pen.font = `600 10px ${palette.font}`;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    pen.strokeStyle = palette.surface;
    const text = age < 1000 ? `${Math.round(age)} ms` : `${(age / 1000).toFixed(1)} s`;
    pen.strokeText(text, x, y + zoom * 0.36);
    pen.fillStyle = palette.ink;
    pen.fillText(text, x, y + zoom * 0.36);
  }

  #width(pen: CanvasRenderingContext2D, text: string): number {
    const known = this.#widths.get(text);
    if (known !== undefined) return known;
    if (this.#widths.size > 1000) this.#widths.clear();
    const { width } = pen.measureText(text);
    this.#widths.set(text, width);
    return width;
  }
}

export function tierColor(tier: Tier, palette: Palette): string {
  return { fresh: palette.good, soon: palette.second, late: palette.bad, still: palette.ink3 }[
    tier
  ];
}
