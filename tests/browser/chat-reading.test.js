// Reading: older messages come without a jump, what is new is marked and led to, drafts stay where they were written,
// and the keyboard goes everywhere.

import assert from "node:assert/strict";
import { test } from "node:test";
import { person, picture } from "./support/browser.js";
import { act, composer, line, newcomer, said } from "./support/chat.js";
import { openHouse } from "./support/house.js";
import { ask, nameOf, say } from "./support/team.js";

const house = openHouse({ env: { LAKH_API__REQUESTS_PER_SECOND: "100000" } });

// A room with messages of Jonas, numbered from 1, and Maya a member who has read up to one of them.
async function library(room, count, readTo = count) {
  for (const who of ["jonas", "maya"]) await ask(house.server.url, who, "room:join", { room });
  for (let n = 1; n <= count; n += 1) await say(house.server.url, "jonas", room, `number ${n}`);
  if (readTo > 0) await ask(house.server.url, "maya", "receipt:read", { room, seq: readTo });
}

const maya = async (t, room, options) =>
  newcomer(await person(t, house.browser, options), house.server.url, nameOf("maya"), room);

// Whatever stands there by then is measured: what was found first may have been drawn anew.
async function isInView(page, locator) {
  for (let tries = 0; tries < 500; tries += 1) {
    const box = await locator.boundingBox();
    if (box !== null && box.y >= 0 && box.y + box.height <= page.viewportSize().height) return;
    await page.waitForTimeout(20);
  }
  throw new Error("it does not come into view");
}

test("older messages are put above without moving what is being read", async (t) => {
  await library("shelf", 230);
  const { page } = await maya(t, "shelf");
  await said(page, "number 230").waitFor();
  // Three pages, each asked for by going near the upper end; the line at the view's edge is watched meanwhile.
  const moved = await page.evaluate(async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const lines = () => [...document.querySelectorAll("[data-line]")];
    const view = lines()[0].parentElement.closest("[data-reading]");
    const moves = [];
    for (let page = 0; page < 3; page += 1) {
      const before = lines()[0].dataset.seq;
      view.scrollTop = 300;
      const edge = view.getBoundingClientRect().top;
      const anchor = lines().find((one) => one.getBoundingClientRect().top >= edge);
      const { line } = anchor.dataset;
      const { top } = anchor.getBoundingClientRect();
      while (lines()[0].dataset.seq === before) await frame();
      await frame();
      const there = lines().find((one) => one.dataset.line === line);
      moves.push(Math.abs(there.getBoundingClientRect().top - top));
    }
    return moves;
  });
  assert.equal(moved.length, 3);
  for (const pixels of moved) assert.ok(pixels <= 1, `what is read moved by ${pixels} pixels`);
});

test("a room opens at the first message that is new, and leads back to it from further down", async (t) => {
  await library("unread", 150, 20);
  const { page } = await maya(t, "unread");
  // What is new begins before the newest page.
  await page.getByRole("button", { name: /130 new messages, go to the first/ }).click();
  const mark = page.locator("[data-new]");
  await isInView(page, mark);
  await isInView(page, line(page, "number 21"));
  await picture(page, "chat-unread");
});

test("what comes while one reads further up is counted, marked, and one Escape away", async (t) => {
  await library("up", 60);
  const { page } = await maya(t, "up");
  await said(page, "number 60").waitFor();
  await page.locator("[data-line]").first().scrollIntoViewIfNeeded();
  const newest = page.getByRole("button", { name: "To the newest message" });
  await newest.waitFor();
  const first = await line(page, "number 12").boundingBox();
  await say(house.server.url, "jonas", "up", "while you were reading");
  await page.getByRole("button", { name: /1 new message/ }).waitFor();
  assert.deepEqual(await line(page, "number 12").boundingBox(), first, "the view has moved");
  await composer(page, "up").click();
  await page.keyboard.press("Escape");
  await isInView(page, line(page, "while you were reading"));
  await newest.waitFor({ state: "detached" });
  // The mark stands between what was read and what was not.
  const order = await page.evaluate(() => {
    const mark = document.querySelector("[data-new]");
    const after = mark.compareDocumentPosition(document.querySelector('[data-seq="61"]'));
    const before = mark.compareDocumentPosition(document.querySelector('[data-seq="60"]'));
    const { DOCUMENT_POSITION_FOLLOWING: later, DOCUMENT_POSITION_PRECEDING: earlier } = Node;
    return [(after & later) > 0, (before & earlier) > 0];
  });
  assert.deepEqual(order, [true, true]);
});

test("a draft stays in its room, over other rooms and a reload", async (t) => {
  await library("one", 1);
  await library("two", 1);
  const { page } = await maya(t, "one");
  await composer(page, "one").fill("half a thought");
  const go = (room) => page.getByRole("link", { name: new RegExp(`^${room} `) }).click();
  await go("two");
  await composer(page, "two").waitFor();
  assert.equal(await composer(page, "two").inputValue(), "");
  await page.getByText("Draft:").waitFor();
  await go("one");
  await composer(page, "one").waitFor();
  assert.equal(await composer(page, "one").inputValue(), "half a thought");
  await page.reload();
  await composer(page, "one").waitFor();
  assert.equal(await composer(page, "one").inputValue(), "half a thought");
});

test("a message is answered, edited and left by the keyboard alone", async (t) => {
  await library("keys", 3);
  const { page } = await maya(t, "keys");
  await said(page, "number 3").waitFor();
  await composer(page, "keys").click();
  // Backwards from where one writes to the newest message, and up from there.
  const onLine = () => page.evaluate(() => document.activeElement?.matches("[data-line]"));
  const toNewest = async () => {
    for (let stops = 0; stops < 8 && !(await onLine()); stops += 1) {
      await page.keyboard.press("Shift+Tab");
    }
  };
  await toNewest();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("r");
  await page.getByText("Reply to").waitFor();
  await page.keyboard.type("an answer");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: `${nameOf("jonas")} number 2` }).waitFor();
  // Escape gives up an answer that was begun.
  await toNewest();
  await page.keyboard.press("r");
  await page.getByText("Reply to").waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("Reply to").waitFor({ state: "detached" });
  await toNewest();
  await page.keyboard.press("e");
  const editor = page.getByRole("textbox", { name: "Edit message" });
  await editor.waitFor();
  await page.keyboard.type(", better");
  await page.keyboard.press("Enter");
  await page.getByRole("article").getByText("an answer, better").waitFor();
  const { message } = await ask(house.server.url, "maya", "message:get", {
    room: "keys",
    seq: 4,
  });
  assert.equal(message.text, "an answer, better");
  assert.equal(message.reply_to.seq, 2);
  // And a thread, closed by Escape.
  await toNewest();
  await page.keyboard.press("t");
  const thread = page.getByRole("complementary", { name: "Thread" });
  await thread.getByRole("textbox", { name: "Reply in thread" }).waitFor();
  await page.keyboard.press("Escape");
  await thread.waitFor({ state: "detached" });
});

test("a quote says what the quoted message says by now, before and after the page is loaded anew", async (t) => {
  await library("quotes", 2);
  const { page } = await maya(t, "quotes");
  const by = (person, event, request) => ask(house.server.url, person, event, { room: "quotes", ...request });
  await by("maya", "message:send", { key: "answer", text: "so it is", reply_to: 2 });
  const quote = (text) => page.getByRole("article").getByRole("button", { name: `${nameOf("jonas")} ${text}` });
  await quote("number 2").waitFor();
  await by("jonas", "message:edit", { seq: 2, text: "number two" });
  await quote("number two").waitFor();
  await by("jonas", "message:delete", { seq: 2 });
  await quote("This message was deleted").waitFor();
  await page.reload();
  await said(page, "so it is").waitFor();
  await quote("This message was deleted").waitFor();
});

test("Ctrl and K find a room by a part of its name, from anywhere", async (t) => {
  for (const room of ["find-a", "find-b", "find-c", "find-d", "find-e", "find-zebra"]) await library(room, 1);
  const { page } = await maya(t, "find-a");
  await composer(page, "find-a").fill("on my mind");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("zeb");
  await page.keyboard.press("Enter");
  await composer(page, "find-zebra").waitFor();
  assert.equal(await page.getByRole("searchbox", { name: "Find a room" }).inputValue(), "");
});

test("the rooms of a phone fill it, and lead in and out", async (t) => {
  await library("pocket", 2, 1);
  const phone = {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  };
  const { page } = await maya(t, "", phone);
  await page.getByRole("link", { name: /^pocket .*1\s*unread/ }).click();
  await said(page, "number 2").waitFor();
  const box = await page.getByRole("region", { name: "Room pocket" }).boundingBox();
  assert.deepEqual([box.x, box.width], [0, 390]);
  await page.getByRole("link", { name: "All rooms" }).click();
  await page.getByRole("link", { name: /^pocket/ }).waitFor();
  // Read now: the mark is gone.
  await page.getByRole("link", { name: /^pocket .*unread/ }).waitFor({ state: "detached" });
});

test("the keys are listed by a key, and from the menu", async (t) => {
  await library("shortcuts", 1);
  const { page, errors } = await maya(t, "shortcuts");
  const list = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await page.keyboard.press("Control+/");
  await list.getByText("Open its thread").waitFor();
  await picture(page, "chat-keys");
  await page.keyboard.press("Control+/");
  await list.waitFor({ state: "detached" });
  await page.getByRole("button", { name: /Maya.*, settings/ }).click();
  await page.getByRole("menuitem", { name: "Keyboard shortcuts" }).click();
  await list.waitFor();
  await page.keyboard.press("Escape");
  await list.waitFor({ state: "detached" });
  assert.deepEqual(errors, []);
});

test("what is further down than one has read stays unread until one gets there", async (t) => {
  await library("halfway", 60, 15);
  const { page } = await maya(t, "halfway");
  await isInView(page, page.locator("[data-new]"));
  await isInView(page, line(page, "number 16"));
  // Longer than the page waits before it tells.
  await page.waitForTimeout(1000);
  const read = async () => (await ask(house.server.url, "maya", "room:get", { room: "halfway" })).room.mine.read;
  assert.equal(await read(), 15);
  await page.keyboard.press("Escape");
  await isInView(page, line(page, "number 60"));
  while ((await read()) < 60) await page.waitForTimeout(50);
});

test("what was seen as it came isn't new when one comes back", async (t) => {
  await library("seen", 5);
  await library("elsewhere", 1);
  const { page } = await maya(t, "seen");
  await said(page, "number 5").waitFor();
  await say(house.server.url, "jonas", "seen", "hello");
  await said(page, "hello").waitFor();
  await page.waitForTimeout(600);
  await page.getByRole("link", { name: /elsewhere/ }).click();
  await said(page, "number 1").waitFor();
  await page.getByRole("link", { name: /seen/ }).click();
  await said(page, "hello").waitFor();
  assert.equal(await page.locator("[data-new]").count(), 0);
});

test("what is marked as unread has its line at once, and its count in the list", async (t) => {
  await library("later", 6);
  await library("now", 1);
  const { page } = await maya(t, "later");
  await said(page, "number 6").waitFor();
  await act(page, "number 4", "Mark unread from here");
  await page.locator("[data-new]").waitFor();
  await page.getByRole("link", { name: /^now/ }).click();
  await page.getByRole("link", { name: /^later.*3\s*unread/ }).waitFor();
});

test("a mention in a thread leads there from the list", async (t) => {
  await library("threads", 3);
  await library("other", 1);
  const { page } = await maya(t, "other");
  await said(page, "number 1").waitFor();
  await say(house.server.url, "jonas", "threads", "Maya, what of this?", {
    thread: 2,
    mentions: ["dev:maya okafor"],
  });
  const item = page.getByRole("link", {
    name: /threads.*mentioned in a thread/,
  });
  await item.click();
  await page.getByRole("complementary", { name: "Thread" }).getByText("Maya, what of this?").waitFor();
  await item.waitFor({ state: "detached" });
});

test("a name written to its end is a mention without being chosen", async (t) => {
  await library("names", 3);
  const { page } = await maya(t, "names");
  await composer(page, "names").click();
  await page.keyboard.type(`@${nameOf("jonas")} are you there?`);
  await page.keyboard.press("Enter");
  await line(page, "are you there?")
    .locator("span", { hasText: `@${nameOf("jonas")}` })
    .last()
    .waitFor();
  const { messages } = await ask(house.server.url, "jonas", "message:history", {
    room: "names",
  });
  assert.deepEqual(messages.at(-1).mentions, ["dev:jonas weber"]);
});

test("somebody's new name stands at what they said before", async (t) => {
  await library("called", 2);
  await ask(house.server.url, "jonas", "me:set", { name: "Jonas the Second" });
  t.after(() => ask(house.server.url, "jonas", "me:set", { name: nameOf("jonas") }));
  const { page } = await maya(t, "called");
  await page.getByRole("article").getByRole("button", { name: "Jonas the Second" }).first().waitFor();
});

test("on a phone a result of a search shows itself, and the way back closes what covers the messages", async (t) => {
  await library("pocket", 40);
  const { page } = await maya(t, "pocket", { viewport: { width: 390, height: 800 } });
  await said(page, "number 40").waitFor();
  const search = page.getByRole("button", { name: "Search", exact: true });
  const panel = page.getByRole("complementary", { name: "Search" });
  await search.click();
  await page.getByRole("searchbox", { name: "Search messages" }).fill("number 3");
  await panel.getByRole("button", { name: /number 3$/ }).click();
  await panel.waitFor({ state: "detached" });
  await isInView(page, line(page, "number 3"));
  await search.click();
  await panel.waitFor();
  await page.goBack();
  await panel.waitFor({ state: "detached" });
  assert.match(page.url(), /\/chat\/pocket/);
});
