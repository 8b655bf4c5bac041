/** Painted tiles: as one draws them, with corners rounded where nothing touches them. */
import type { Land } from "lakh-client";
import type { Camera } from "../model/camera.ts";
import { paintColor } from "../model/tiles.ts";
import { hex, shade, type Palette } from "./palette.ts";

/** What a cell shows: what one has just painted counts before what the server has said. */
export type CellValue = (x: number, y: number) => number;

export function drawTiles(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  cell: number,
  valueOf: CellValue,
  palette: Palette,
): void {
  const { left, top, right, bottom } = camera.area();
  const size = cell * camera.zoom;
  if (size < 1.5) return;
  const rows = [Math.floor(top / cell), Math.floor(bottom / cell)] as const;
  const columns = [Math.floor(left / cell), Math.floor(right / cell)] as const;
  for (let row = rows[0]; row <= rows[1]; row += 1) {
    for (let column = columns[0]; column <= columns[1]; column += 1) {
      const value = valueOf(column, row);
      if (value === 0) continue;
      const { x, y } = camera.toScreen({ x: column * cell, y: row * cell });
      drawTile(pen, { x, y, size, value, column, row }, valueOf, palette);
    }
  }
}

interface Tile {
  x: number;
  y: number;
  size: number;
  value: number;
  column: number;
  row: number;
}

function drawTile(
  pen: CanvasRenderingContext2D,
  { x, y, size, value, column, row }: Tile,
  valueOf: CellValue,
  palette: Palette,
): void {
  const color = paintColor(value);
  const bare = (dx: number, dy: number) => valueOf(column + dx, row + dy) === 0;
  const [up, down, left, right] = [bare(0, -1), bare(0, 1), bare(-1, 0), bare(1, 0)];
  const round = size * 0.28;
  const corners = [
    up && left ? round : 0,
    up && right ? round : 0,
    down && right ? round : 0,
    down && left ? round : 0,
  ];
  if (down) {
    // The edge of a slab that lies on the ground.
    pen.fillStyle = shade(color, palette.dark ? -0.5 : -0.32);
    pen.beginPath();
    pen.roundRect(x, y, size + 0.5, size + size * 0.12, corners);
    pen.fill();
  }
  const checkered = (column + row) % 2 === 0 ? 0.06 : 0;
  pen.fillStyle = shade(color, (palette.dark ? -0.24 : 0) + checkered);
  pen.beginPath();
  pen.roundRect(x, y, size + 0.5, size + 0.5, corners);
  pen.fill();
  if (size < 10) return;
  pen.fillStyle = hex(color);
  pen.globalAlpha = 0.35;
  pen.beginPath();
  pen.roundRect(x + size * 0.12, y + size * 0.1, size * 0.76, size * 0.76, round * 0.7);
  pen.fill();
  pen.globalAlpha = 1;
}

/** The cell that the brush is at. */
export function drawBrush(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  cell: number,
  at: { x: number; y: number },
  color: string,
): void {
  const { x, y } = camera.toScreen({ x: at.x * cell, y: at.y * cell });
  const size = cell * camera.zoom;
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.roundRect(x + 1, y + 1, size - 2, size - 2, size * 0.24);
  pen.stroke();
}

export function valueIn(land: Land, x: number, y: number): number {
  return land.value([x, y]) ?? land.plan.fill;
}
