// Takes the README's pictures of the world, at three sizes, of a real server: `npm run pictures`.
// PAGE names a page that is served already, such as that of `npm --prefix web run dev`.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startLakh } from "../conformance/support/server.js";
import { launch } from "./support/browser.js";
import { inSight, stage, traveller, until } from "./support/world.js";

const folder = process.env.PICTURES ?? join(dirname(fileURLToPath(import.meta.url)), "../../docs/images");
const WORLD = "plaza";
// Around the middle of the screen, in pixels.
const PAINTED = [
  ["Peacock", [[150, -140], [310, -140], [310, 10], [150, 10], [150, -140]]],
  ["Marigold", [[190, -100], [270, -100]]],
  ["Marigold", [[190, -30], [270, -30]]],
  ["Coral", [[230, -65], [231, -65]]],
  ["Rose", [[-60, 190], [20, 190], [20, 240], [-60, 240]]],
  ["Chalk", [[-100, 215], [-100, 216]]],
];

const server = process.env.PAGE ? { url: process.env.PAGE, stop() {} } : await startLakh();
const browser = await launch();

async function open(name, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  return (await traveller({ page }, server.url, name, WORLD)).page;
}

async function paint(page) {
  const box = await stage(page).boundingBox();
  const at = ([x, y]) => [box.x + box.width / 2 + x, box.y + box.height / 2 + y];
  for (const [color, [first, ...rest]] of PAINTED) {
    const brush = page.getByRole("button", { name: `Paint ${color}` });
    if ((await brush.getAttribute("aria-pressed")) !== "true") await brush.click();
    await page.mouse.move(...at(first));
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...at(point), { steps: 12 });
    await page.mouse.up();
  }
}

// Bots are seldom where they are wanted: a moment for them to come, and for the ground to be drawn.
async function take(page, name) {
  await page.bringToFront();
  await page.mouse.move(0, 0);
  await page.waitForTimeout(2500);
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

const desk = await open("Maya Okafor", { viewport: { width: 1440, height: 900 }, colorScheme: "light" });
for (const name of ["Jonas", "Aiko Tanaka", "Zoë"]) await open(name);
await desk.getByRole("slider", { name: "Bots" }).fill("250");
await until(desk, inSight, ({ others }) => others > 150, "bots are in sight");
await paint(desk);
await take(desk, "world-desktop-light");
const tablet = { viewport: { width: 820, height: 1180 }, hasTouch: true, colorScheme: "dark" };
await take(await open("Priya", tablet), "world-tablet-dark");
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: "light" };
await take(await open("Omar", { ...phone, deviceScaleFactor: 2 }), "world-phone-light");
await browser.close();
await server.stop();
