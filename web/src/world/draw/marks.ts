/** What is drawn on the ground that is not there: where one walks to, and the edge of the world. */
import type { Camera } from "../model/camera.ts";
import type { Point } from "../model/geometry.ts";
import type { Palette } from "./palette.ts";

export function drawTarget(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  target: Point,
  palette: Palette,
): void {
  const { x, y } = camera.toScreen(target);
  pen.strokeStyle = palette.accent;
  pen.lineWidth = 2;
  for (const size of [0.22, 0.42]) {
    pen.globalAlpha = size < 0.3 ? 0.95 : 0.45;
    pen.beginPath();
    pen.ellipse(x, y, camera.zoom * size, camera.zoom * size * 0.55, 0, 0, 2 * Math.PI);
    pen.stroke();
  }
  pen.globalAlpha = 1;
}

export function drawEdge(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  bounds: { min: number[]; max: number[] },
  palette: Palette,
): void {
  const area = camera.area();
  const [left = 0, top = 0] = bounds.min;
  const [right = 0, bottom = 0] = bounds.max;
  if (area.left >= left && area.right <= right && area.top >= top && area.bottom <= bottom) return;
  const from = camera.toScreen({ x: left, y: top });
  const to = camera.toScreen({ x: right, y: bottom });
  pen.fillStyle = palette.edge;
  pen.beginPath();
  pen.rect(0, 0, camera.width, camera.height);
  pen.roundRect(from.x, from.y, to.x - from.x, to.y - from.y, 12);
  pen.fill("evenodd");
}
