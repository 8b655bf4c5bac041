// What two people do with messages: threads, reactions, edits, mentions, links, and what is noticed of the other.

import assert from "node:assert/strict";
import { test } from "node:test";
import { person, picture } from "./support/browser.js";
import { act, article, composer, line, newcomer, said, say } from "./support/chat.js";
import { openHouse } from "./support/house.js";

const house = openHouse();

async function two(t, room) {
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
  await say(ada.page, room, "Shall we?");
  await said(grace.page, "Shall we?").waitFor();
  return { ada, grace };
}

test("a reaction shows at both, and goes when it is taken back", async (t) => {
  const { ada, grace } = await two(t, "reactions");
  await line(grace.page, "Shall we?").hover();
  await grace.page.getByRole("button", { name: "React" }).click();
  await grace.page.getByRole("searchbox", { name: "Find an emoji" }).fill("rocket");
  await grace.page.keyboard.press("Enter");
  const given = (page) => page.getByRole("button", { name: /^🚀 1/ });
  await given(ada.page).waitFor();
  assert.equal(await given(grace.page).getAttribute("aria-pressed"), "true");
  assert.equal(await given(ada.page).getAttribute("aria-pressed"), "false");
  assert.match(await given(ada.page).getAttribute("aria-label"), /Grace/);
  await given(grace.page).click();
  await given(ada.page).waitFor({ state: "detached" });
  assert.deepEqual([ada.errors, grace.errors], [[], []]);
});

test("the last message of one's own is edited by the keyboard", async (t) => {
  const room = "edits";
  const { ada, grace } = await two(t, room);
  await composer(ada.page, room).click();
  await ada.page.keyboard.press("ArrowUp");
  const editor = ada.page.getByRole("textbox", { name: "Edit message" });
  await editor.waitFor();
  await ada.page.keyboard.press("Escape");
  await editor.waitFor({ state: "detached" });
  await ada.page.keyboard.press("ArrowUp");
  await editor.fill("Shall we go?");
  await ada.page.keyboard.press("Enter");
  await article(grace.page).getByText("Shall we go?").waitFor();
  await article(grace.page).getByText("(edited)").waitFor();
  await ada.page.reload();
  await article(ada.page).getByText("Shall we go?").waitFor();
});

test("a thread has its own place, and its count stands under its message", async (t) => {
  const room = "threads";
  const { ada, grace } = await two(t, room);
  await line(grace.page, "Shall we?").hover();
  await grace.page.getByRole("button", { name: "Reply in thread" }).click();
  const thread = (page) => page.getByRole("complementary", { name: "Thread" });
  await thread(grace.page).getByRole("textbox", { name: "Reply in thread" }).fill("In a minute");
  await grace.page.keyboard.press("Enter");
  await ada.page.getByRole("button", { name: /1 reply/ }).click();
  await thread(ada.page).getByText("In a minute").waitFor();
  await thread(ada.page).getByRole("textbox", { name: "Reply in thread" }).fill("Good");
  await ada.page.keyboard.press("Enter");
  await grace.page.getByRole("button", { name: /2 replies/ }).first().waitFor();
  await thread(grace.page).getByText("Good").waitFor();
  await picture(grace.page, "chat-thread");
});

test("deleting leaves a mark, and a reply leads back to what it answers", async (t) => {
  const room = "replies";
  const { ada, grace } = await two(t, room);
  await line(grace.page, "Shall we?").hover();
  await grace.page.getByRole("button", { name: "Reply", exact: true }).click();
  await composer(grace.page, room).fill("Yes");
  await grace.page.keyboard.press("Enter");
  await ada.page.getByRole("button", { name: /Ada Shall we\?/ }).waitFor();
  await act(grace.page, "Yes", "Delete");
  await grace.page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await said(grace.page, "Yes").waitFor();
  await act(grace.page, "Yes", "Delete");
  await grace.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await ada.page.getByText("This message was deleted").first().waitFor();
});

test("a link to a message brings it into view", async (t) => {
  const room = "links";
  const { ada } = await two(t, room);
  for (let n = 2; n <= 12; n += 1) await say(ada.page, room, `line ${n}`);
  await said(ada.page, "line 12").waitFor();
  const late = await person(t, house.browser, { viewport: { width: 700, height: 420 } });
  await newcomer(late, house.server.url, "Linus", `${room}?message=1`);
  const first = line(late.page, "Shall we?");
  await first.waitFor();
  await late.page.waitForFunction(
    (element) => {
      const { top, bottom } = element.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    },
    await first.elementHandle(),
  );
});

test("a long history loads as one scrolls, and the page holds only a part of it", async (t) => {
  const room = "history";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  await composer(ada.page, room).waitFor();
  await ada.page.evaluate(async (name) => {
    const { io } = await import("/client.js");
    const chat = io("/chat", { auth: { name: "Writer" }, forceNew: true });
    await chat.emitWithAck("room:join", { room: name });
    for (let n = 1; n <= 600; n += 1) {
      const sent = { room: name, key: `k${n}`, text: `number ${n}` };
      for (;;) {
        const answer = await chat.emitWithAck("message:send", sent);
        if (answer.ok) break;
        await new Promise((done) => setTimeout(done, 300));
      }
    }
    chat.disconnect();
  }, room);
  await said(ada.page, "number 600").waitFor();
  const view = ada.page.locator("[data-line]").last().locator("xpath=ancestor::div[@class][4]");
  await view.waitFor();
  const shown = () => ada.page.locator("[data-line]").count();
  while ((await said(ada.page, "number 1").count()) === 0) {
    const top = ada.page.locator("[data-line]").first();
    await top.scrollIntoViewIfNeeded();
    await ada.page.mouse.move(800, 400);
    await ada.page.mouse.wheel(0, -1500);
    await ada.page.evaluate(() => new Promise(requestAnimationFrame));
  }
  assert.ok((await shown()) <= 320, "the page holds more than a window");
  await ada.page.getByRole("button", { name: "To the newest message" }).click();
  await said(ada.page, "number 600").waitFor();
});
