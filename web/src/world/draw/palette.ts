/** The tokens' colours as a canvas takes them: resolved, without `light-dark()`. */

const TOKENS = {
  grass: "--world-grass",
  grass2: "--world-grass-2",
  path: "--world-path",
  path2: "--world-path-2",
  edge: "--world-edge",
  leaf: "--world-leaf",
  leaf2: "--world-leaf-2",
  leaf3: "--world-leaf-3",
  trunk: "--world-trunk",
  stone: "--world-stone",
  bloom: "--world-bloom",
  bloom2: "--world-bloom-2",
  bloom3: "--world-bloom-3",
  shadow: "--world-shadow",
  accent: "--accent",
  second: "--second",
  ink: "--ink",
  ink3: "--ink-3",
  surface: "--surface",
  line: "--line",
  good: "--good",
  bad: "--bad",
} as const;

export type Palette = Record<keyof typeof TOKENS, string> & { font: string; dark: boolean };

export function paletteOf(host: HTMLElement, dark: boolean): Palette {
  const probe = document.createElement("span");
  host.append(probe);
  const resolved = Object.entries(TOKENS).map(([name, token]) => {
    probe.style.color = `var(${token})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  const font = getComputedStyle(host).fontFamily;
  return { ...(Object.fromEntries(resolved) as Record<keyof typeof TOKENS, string>), font, dark };
}

export type Rgb = readonly [number, number, number];

/** The parts of a colour as the browser writes it: `rgb(1, 2, 3)`. */
export function partsOf(color: string): Rgb {
  const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/gu) ?? []).map(Number);
  return [r, g, b];
}

export function hex(color: number): string {
  return `#${(color & 0xffffff).toString(16).padStart(6, "0")}`;
}

/** A colour made darker (below 0) or lighter, by a part. */
export function shade(color: number, by: number): string {
  const to = by < 0 ? 0 : 255;
  const part = Math.abs(by);
  const [r, g, b] = [color >> 16, color >> 8, color].map((x) =>
    Math.round((x & 255) + (to - (x & 255)) * part),
  ) as [number, number, number];
  return `rgb(${r}, ${g}, ${b})`;
}
