// Everybody can use the page: axe finds nothing to say about it in light and dark, on a desk and on a phone, and what
// a finger has to hit is large enough.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { person } from "./support/browser.js";
import { line, newcomer, said } from "./support/chat.js";
import { drawings } from "./support/drawings.js";
import { openHouse } from "./support/house.js";
import { nameOf, seedTeam } from "./support/team.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DESK = { viewport: { width: 1440, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
// Menus and lists of emoji stand outside of the page's regions, as they do in every page.
const RULES = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], rules: { region: { enabled: false } } };

const env = { LAKH_API__REQUESTS_PER_SECOND: "100000" };
const house = openHouse({ env }, ({ server, browser }) => seedTeam(server.url, drawings(browser)));

async function check(page, where) {
  // Content policy forbids scripts of others; what the test itself evaluates is not held to it.
  await page.evaluate(axe);
  // What fades in has no contrast yet.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map((one) => one.finished)));
  const { violations } = await page.evaluate((rules) => axe.run(document, rules), RULES);
  const told = violations.map(({ id, nodes }) => `${where}: ${id}: ${nodes.map((one) => one.html).join("\n")}`);
  assert.deepEqual(told, []);
}

const PLACES = {
  async list(page) {
    await page.getByRole("link", { name: /^general/ }).waitFor();
  },
  async room(page) {
    await page.getByRole("link", { name: /^ferry-app/ }).click();
    await said(page, "Take the small boat, it has the worst reception").waitFor();
  },
  async "message's menu"(page) {
    await line(page, "Take the small boat").hover();
    await page.getByRole("button", { name: "React", exact: true }).last().waitFor();
    await line(page, "Take the small boat").getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "Copy link" }).waitFor();
  },
  async emoji(page) {
    await page.keyboard.press("Escape");
    await line(page, "Take the small boat").hover();
    await line(page, "Take the small boat").getByRole("button", { name: "React" }).click();
    await page.getByRole("searchbox", { name: "Find an emoji" }).waitFor();
  },
  async thread(page) {
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /4 replies/ }).click();
    await page.getByText("The school boats. They all report at once.").waitFor();
  },
  async search(page) {
    await page.getByRole("button", { name: "Close thread" }).click();
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await page.getByRole("searchbox", { name: "Search messages" }).fill("boats");
    await page.locator("mark").first().waitFor();
  },
};

for (const [device, size] of [
  ["desk", DESK],
  ["phone", PHONE],
]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`axe has nothing to say about the chat on a ${device} in ${colorScheme}`, async (t) => {
      const { page } = await person(t, house.browser, { ...size, colorScheme });
      await page.goto(`${house.server.url}/chat`);
      await page.getByRole("textbox", { name: "Your name" }).waitFor();
      await check(page, "sign-in");
      await newcomer({ page }, house.server.url, nameOf("maya"));
      for (const [where, go] of Object.entries(PLACES)) {
        await go(page);
        await check(page, where);
      }
    });
  }
}

// Links within texts flow with them, and are left out as the guidelines do.
const tooSmall = (page) =>
  page.evaluate(() => {
    const reach = (element) => {
      const { width, height } = element.getBoundingClientRect();
      const after = getComputedStyle(element, "::after");
      const wider = after.position === "absolute" && after.content !== "none";
      const of = (length) => (wider ? Number.parseFloat(length) || 0 : 0);
      return [Math.max(width, of(after.width)), Math.max(height, of(after.height))];
    };
    return [...document.querySelectorAll("button, a, input, textarea")]
      .filter((one) => one.checkVisibility() && !one.closest("[aria-hidden=true], p"))
      .filter((one) => one.getBoundingClientRect().bottom > 0 && one.getAttribute("href") !== "#main")
      .filter((one) => reach(one).some((length) => length < 43.9))
      .map((one) => `${one.ariaLabel ?? one.innerText}: ${reach(one).map(Math.round).join(" by ")}`);
  });

test("what a finger hits on a phone is 44 pixels wide and high, and nothing scrolls sideways", async (t) => {
  const { page } = await person(t, house.browser, PHONE);
  await newcomer({ page }, house.server.url, nameOf("maya"));
  for (const [where, go] of Object.entries(PLACES)) {
    await go(page);
    assert.deepEqual(await tooSmall(page), [], where);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, where);
  }
});
