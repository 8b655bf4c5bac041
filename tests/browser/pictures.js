// Takes the README's pictures of the chat, at three sizes, of a real server with a team at work: `npm run pictures`.
// PAGE names a page that is served already and leads to an empty server, such as that of `npm --prefix web run dev`.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startLakh } from "../conformance/support/server.js";
import { launch } from "./support/browser.js";
import { composer, newcomer, said } from "./support/chat.js";
import { drawings } from "./support/drawings.js";
import { nameOf, seedTeam } from "./support/team.js";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../../docs/images");
const ROOM = "ferry-app";
const LAST = "Take the small boat, it has the worst reception";

const server = process.env.PAGE ? { url: process.env.PAGE, stop() {} } : await startLakh();
const browser = await launch();

async function open(who, room, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  return (await newcomer({ page }, server.url, nameOf(who), room)).page;
}

async function typing(page) {
  await composer(page, ROOM).pressSequentially("Shall I ");
}

async function take(page, name) {
  await page.waitForLoadState("networkidle");
  await page.evaluate(async () => {
    for (const picture of document.images) await picture.decode().catch(() => {});
    await Promise.allSettled(
      document.getAnimations().flatMap((one) => (one.effect.getTiming().iterations === Infinity ? [] : [one.finished])),
    );
  });
  await page.mouse.move(0, 0);
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

await seedTeam(server.url, drawings(browser));
const others = [];
for (const who of ["jonas", "aiko", "zoe", "lena"]) others.push(await open(who, ROOM));
for (const page of others) await said(page, LAST).waitFor();

const desk = await open("maya", ROOM, { viewport: { width: 1440, height: 900 }, colorScheme: "light" });
await desk.getByRole("button", { name: /4 replies/ }).click();
await desk.getByText("The school boats. They all report at once.").waitFor();
await typing(others[2]);
await desk.getByText(/Zoë Laurent is typing/).first().waitFor();
await take(desk, "chat-desktop-light");

const tablet = { viewport: { width: 820, height: 1180 }, hasTouch: true, colorScheme: "dark" };
const held = await open("maya", ROOM, tablet);
await said(held, LAST).waitFor();
await take(held, "chat-tablet-dark");

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: "light" };
const inHand = await open("maya", ROOM, phone);
await said(inHand, LAST).waitFor();
await take(inHand, "chat-phone-light");

await browser.close();
await server.stop();
