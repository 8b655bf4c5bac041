// Two browsers in one world: they walk, see each other, paint, and one sleeps and comes back.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { startLakh } from "../conformance/support/server.js";
import { launch, person, picture } from "./support/browser.js";
import { startProxy } from "./support/proxy.js";
import { at, inSight, people, place, stage, traveller, until, walk } from "./support/world.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

let server;
let browser;
before(async () => {
  server = await startLakh();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const newcomer = async (t, name, world, { url = server.url, ...options } = {}) =>
  traveller(await person(t, browser, options), url, name, world);

const far = ([x, y], [u, v]) => Math.hypot(x - u, y - v);

test("two people walk, and each sees the other go", async (t) => {
  const ada = await newcomer(t, "Ada", "meadow");
  const grace = await newcomer(t, "Grace", "meadow");
  for (const { page } of [ada, grace]) {
    await until(page, people, (seen) => "Ada" in seen && "Grace" in seen, "both are in sight");
  }
  const from = await at(ada.page);
  await walk(ada.page, "ArrowRight", ([x]) => x > from[0] + 8, "Ada goes to the right");
  await walk(ada.page, "KeyS", ([, y]) => y > from[1] + 5, "Ada goes down");
  const to = await at(ada.page);
  const here = await at(grace.page);
  // What one page says of itself and the other of it is the same, but for rounding.
  await until(
    grace.page,
    people,
    (seen) => Math.abs(seen.Ada - far(to, here)) <= 1.5,
    `Grace at ${here} sees Ada at ${to}`,
  );
  await picture(grace.page, "world-two");
  assert.deepEqual([ada.errors, grace.errors], [[], []]);
});

test("a tile that one paints is seen by the other, and there for who comes later", async (t) => {
  const ada = await newcomer(t, "Ada", "canvas");
  const grace = await newcomer(t, "Grace", "canvas");
  await ada.page.getByRole("button", { name: "Paint Coral" }).click();
  const box = await stage(ada.page).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  for (const right of [0, 80, 160, 240, 320]) await ada.page.mouse.click(x + right, y + 90);
  for (const { page } of [ada, grace]) {
    await until(page, inSight, ({ tiles }) => tiles === 5, "both see what Ada painted");
  }
  // By keys alone: the cell that one stands on.
  await stage(ada.page).focus();
  await ada.page.keyboard.press("Space");
  await until(grace.page, inSight, ({ tiles }) => tiles === 6, "Grace sees one more");
  await picture(grace.page, "world-painted");
  await ada.page.reload();
  await until(ada.page, inSight, ({ tiles }) => tiles === 6, "they are there after a reload");
  const later = await newcomer(t, "Later", "canvas");
  await until(later.page, inSight, ({ tiles }) => tiles === 6, "and for who comes later");
  assert.deepEqual([ada.errors, grace.errors], [[], []]);
});

test("who sleeps comes back as who they were, where they were, and sees what is now", async (t) => {
  const network = await startProxy(t, server);
  const ada = await newcomer(t, "Ada", "night", { url: network.url });
  const grace = await newcomer(t, "Grace", "night");
  await until(ada.page, people, (seen) => "Grace" in seen, "Grace is in sight");
  const start = await at(ada.page);
  await walk(ada.page, "KeyD", ([x]) => x > start[0] + 4, "Ada walks");
  const asleep = await at(ada.page);
  network.cut();
  await ada.page.getByText(/No connection to the server/).waitFor();
  // The world goes on: Grace walks, and still sees Ada, whose place is kept for her.
  const from = await at(grace.page);
  await walk(grace.page, "ArrowUp", ([, y]) => y < from[1] - 10, "Grace walks");
  const to = await at(grace.page);
  assert.ok("Ada" in (await people(grace.page)));
  await picture(ada.page, "world-asleep");
  network.mend();
  await ada.page.getByText(/No connection to the server/).waitFor({ state: "detached" });
  const near = (seen) => Math.abs(seen.Grace - far(asleep, to)) <= 1.5;
  await until(ada.page, people, near, "Ada sees where Grace is now");
  assert.ok(far(await at(ada.page), asleep) < 0.5, "she is where she fell asleep");
  // One Ada, not two.
  await until(grace.page, people, (seen) => Object.keys(seen).length === 2, "there are two");
  await walk(ada.page, "KeyA", ([x]) => x < asleep[0] - 3, "Ada walks again");
  await until(grace.page, people, (seen) => seen.Ada > 0, "Grace sees it");
});

test("bots are let loose and called back, and what one gets is shown", async (t) => {
  const { page, errors } = await newcomer(t, "Ada", "park");
  const bots = page.getByRole("slider", { name: "Bots" });
  await bots.fill("200");
  await until(page, inSight, ({ others }) => others >= 150, "bots are in sight");
  const figures = page.getByRole("region", { name: "What you get" });
  await until(page, () => figures.innerText(), (text) => /\d+ (KB|B) a second/.test(text), "there are bytes");
  await page.getByRole("checkbox", { name: "Show the age of each" }).check();
  await picture(page, "world-bots");
  // A smaller sight has fewer of them.
  await page.getByRole("slider", { name: "Sight" }).fill("10");
  await until(page, inSight, ({ others }) => others < 60, "fewer are in sight");
  await bots.fill("0");
  await until(page, inSight, ({ others }) => others === 0, "all have gone");
  assert.deepEqual(errors, []);
});

test("with a finger one goes where one taps", async (t) => {
  const { page } = await newcomer(t, "Ada", "phone", PHONE);
  const from = await at(page);
  const box = await stage(page).boundingBox();
  await page.touchscreen.tap(box.x + box.width / 2 + 100, box.y + box.height / 2);
  await until(page, at, ([x]) => x > from[0] + 2, "Ada goes to the right");
  await picture(page, "world-phone");
});

for (const colorScheme of ["light", "dark"]) {
  for (const [where, options] of [["desk", {}], ["phone", PHONE]]) {
    test(`everybody can use the page: ${where}, ${colorScheme}`, async (t) => {
      const { page } = await newcomer(t, "Ada", "access", { ...options, colorScheme });
      const button = page.getByRole("button", { name: "What you get" });
      if ((await button.getAttribute("aria-pressed")) !== "true") await button.click();
      await page.getByRole("region", { name: "What you get" }).waitFor();
      await people(page);
      await page.evaluate(axe);
      await page.evaluate(() => Promise.allSettled(document.getAnimations().map((one) => one.finished)));
      const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const { violations } = await page.evaluate((only) => axe.run(document, { runOnly: only }), runOnly);
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((one) => one.html).join("\n")}`), []);
    });
  }
}

test("the page of the documents, which has no build step, is given out by another server and walks", async (t) => {
  const words = readFileSync(new URL("../../docs/world.md", import.meta.url), "utf8");
  const [, example] = /## The client[^]*?```html\n([^]*?)```/.exec(words);
  let lakh;
  const other = createServer((request, answer) => {
    answer.setHeader("content-type", "text/html; charset=utf-8");
    answer.end(request.url === "/" ? `<!doctype html>${example.replaceAll("http://localhost:3000", lakh.url)}` : "");
  });
  await new Promise((done) => other.listen(0, "127.0.0.1", done));
  t.after(() => other.close());
  const origin = `http://127.0.0.1:${other.address().port}`;
  lakh = await startLakh({ env: { LAKH_CORS__ORIGINS: origin } });
  t.after(() => lakh.stop());
  const grace = await newcomer(t, "Grace", "plaza", { url: lakh.url });
  const here = await at(grace.page);
  const { page, errors } = await person(t, browser);
  await page.goto(origin);
  const figures = () => page.locator("#figures").innerText();
  await until(page, figures, (text) => JSON.parse(text || "{}").entities === 2, "two are in sight");
  await until(grace.page, people, (seen) => "Ada" in seen, "Grace sees Ada come");
  const { Ada: before } = await people(grace.page);
  await page.keyboard.down("KeyD");
  await until(grace.page, people, (seen) => Math.abs(seen.Ada - before) >= 8, `Grace at ${here} sees Ada walk`);
  await page.keyboard.up("KeyD");
  assert.deepEqual(errors, []);
});

test("who goes elsewhere is gone at once, and bots that others let loose are counted", async (t) => {
  const ada = await newcomer(t, "Ada", "gate");
  const grace = await newcomer(t, "Grace", "gate");
  await until(ada.page, people, (seen) => "Grace" in seen, "Grace is in sight");
  const bots = grace.page.getByRole("slider", { name: "Bots" });
  await bots.focus();
  await grace.page.keyboard.press("ArrowRight");
  const count = () => ada.page.getByRole("slider", { name: "Bots" }).inputValue();
  await until(ada.page, count, (value) => value === "10", "Ada's page counts Grace's bots");
  const from = await at(grace.page);
  // A slider takes the arrows, and no letters.
  await walk(grace.page, "KeyD", ([x]) => x > from[0] + 4, "Grace walks on with the slider in hand");
  await grace.page.getByRole("link", { name: "Chat" }).click();
  const end = Date.now() + 10_000;
  await until(ada.page, people, (seen) => !("Grace" in seen), "Grace is gone");
  assert.ok(Date.now() < end, "before the grace of a lost connection is over");
});

test("the menu leads back to the world that one was in, in this tab", async (t) => {
  const ada = await newcomer(t, "Ada", "sea%20side");
  const { page } = ada;
  const menu = page.getByRole("navigation", { name: "Modules" });
  const inWorld = async (name) => {
    await page.getByRole("application", { name: new RegExp(`^The world ${name}`) }).waitFor();
    await place(page).waitFor();
  };
  const back = async (name) => {
    await menu.getByRole("link", { name: "World" }).click();
    await inWorld(name);
  };
  await back("sea side");
  await menu.getByRole("link", { name: "Chat" }).click();
  await back("sea side");
  // Also after the page was loaded anew.
  await page.goto(`${server.url}/chat`);
  await back("sea side");
  assert.equal(new URL(page.url()).pathname, "/world/sea%20side");
  // A tab that was in no world goes to the usual one.
  const fresh = await page.context().newPage();
  await fresh.goto(`${server.url}/chat`);
  const link = fresh.getByRole("navigation", { name: "Modules" }).getByRole("link", { name: "World" });
  assert.equal(await link.getAttribute("href"), "/world");
  await page.goto(`${server.url}/world`);
  await inWorld("plaza");
  await menu.getByRole("link", { name: "Chat" }).click();
  await back("plaza");
  assert.equal(new URL(page.url()).pathname, "/world");
  assert.deepEqual(ada.errors, []);
});

test("one walks under a still pointer, and not past the edge", async (t) => {
  const ada = await newcomer(t, "Ada", "brink");
  const box = await stage(ada.page).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const from = await at(ada.page);
  await ada.page.mouse.move(x + 120, y);
  await ada.page.mouse.down();
  // Farther than the place that was pointed at first.
  await until(ada.page, at, ([now]) => now > from[0] + 15, "Ada walks on");
  await ada.page.mouse.up();
  await until(ada.page, () => place(ada.page).getAttribute("aria-busy"), (busy) => busy === "false", "Ada stands");
});
