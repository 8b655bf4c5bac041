// The main job, as people do it: two browsers chat in a room, reload, and find what was said.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startLakh } from "../conformance/support/server.js";
import { person, picture } from "./support/browser.js";
import { join as enter } from "./support/chat.js";
import { openHouse } from "./support/house.js";
import { startProxy } from "./support/proxy.js";
import { ask } from "./support/team.js";

const house = openHouse();

async function signIn(page, name) {
  await page.getByRole("textbox", { name: "Your name" }).fill(name);
  await page.getByRole("button", { name: "Come in" }).click();
}

async function enterRoom(page, room) {
  await page.getByRole("button", { name: /new room|make a room|first room/i }).first().click();
  await page.getByRole("textbox", { name: "Name" }).fill(room);
  await page.getByRole("button", { name: "Go to room" }).click();
  await composer(page, room).waitFor();
}

const composer = (page, room) => page.getByRole("textbox", { name: `Message to ${room}` });

// Written by hand, key by key, and sent with Enter.
async function say(page, room, text) {
  await composer(page, room).click();
  await page.keyboard.insertText(text);
  await page.keyboard.press("Enter");
}

const said = (page, text) => page.getByRole("article").getByText(text, { exact: true });

async function newPerson(t, name, path = "/chat", options) {
  const who = await person(t, house.browser, options);
  await who.page.goto(house.server.url + path);
  await signIn(who.page, name);
  if (path !== "/chat") await enter(who.page);
  return who;
}

test("two people chat, reload, and find their history", async (t) => {
  const room = "the-garden";
  const ada = await newPerson(t, "Ada");
  await enterRoom(ada.page, room);
  const grace = await newPerson(t, "Grace", `/chat/${room}`);

  const lines = [
    [ada.page, "Good morning, Grace!"],
    [grace.page, "Good morning, Ada. 🦀 <b>not bold</b>"],
    [ada.page, "日本語も書けます"],
  ];
  for (const [page, text] of lines) {
    await say(page, room, text);
    for (const reader of [ada.page, grace.page]) await said(reader, text).waitFor();
  }
  await picture(ada.page, "chat-ada");

  for (const { page } of [ada, grace]) {
    await page.reload();
    for (const [, text] of lines) await said(page, text).waitFor();
    // In the order in which they were said, each once.
    const shown = await page.getByRole("article").locator("p").allInnerTexts();
    assert.deepEqual(
      shown.map((text) => text.trim()),
      lines.map(([, text]) => text),
    );
  }
  await picture(grace.page, "chat-grace-after-reload");
  assert.deepEqual([ada.errors, grace.errors], [[], []]);
});

test("what is written shows up while the other is typing, and who is there", async (t) => {
  const room = "the-kitchen";
  const ada = await newPerson(t, "Ada", `/chat/${room}`);
  const grace = await newPerson(t, "Grace", `/chat/${room}`);
  await ada.page.getByRole("button", { name: /^2 online/ }).waitFor();
  await composer(grace.page, room).click();
  await grace.page.keyboard.insertText("I am thin");
  await ada.page.getByText(/Grace is typing/).first().waitFor();
  await picture(ada.page, "chat-typing");
  await grace.page.context().close();
  await ada.page.getByRole("button", { name: /^1 online/ }).waitFor();
});

test("a page whose server dies says so, and sends what was written once it is back", async (t) => {
  const room = "the-cellar";
  const data = mkdtempSync(join(tmpdir(), "lakh-browser-"));
  let own = await startLakh({ data });
  t.after(async () => {
    await own.stop();
    rmSync(data, { recursive: true, force: true });
  });
  const { page } = await person(t, house.browser);
  await page.goto(`${own.url}/chat/${room}`);
  await signIn(page, "Ada");
  await enter(page);
  await say(page, room, "before");
  await said(page, "before").waitFor();
  await own.stop("SIGKILL");
  await page.getByText(/No connection to the server/).waitFor();
  await say(page, room, "written meanwhile");
  await page.getByRole("img", { name: "Waiting for the connection" }).waitFor();
  await picture(page, "chat-reconnecting");
  own = await startLakh({ data, bind: new URL(own.url).host });
  await page.getByRole("img", { name: "Waiting for the connection" }).waitFor({ state: "detached" });
  await page.reload();
  await said(page, "written meanwhile").waitFor();
  assert.equal(await said(page, "written meanwhile").count(), 1);
});

test("the overview shows the live node", async (t) => {
  const { page, errors } = await person(t, house.browser);
  await page.goto(house.server.url);
  await page.getByRole("heading", { level: 1 }).waitFor();
  const talker = await newPerson(t, "Ada", "/chat/the-overview");
  await composer(talker.page, "the-overview").waitFor();
  // The number itself depends on the other tests; that it is not zero is what a live page shows.
  const tile = page.locator("dl > div", { has: page.getByText("Live connections", { exact: true }) });
  await page.waitForFunction(
    (element) => Number.parseInt(element.querySelector("dd").innerText, 10) > 0,
    await tile.elementHandle(),
  );
  await picture(page, "overview");
  assert.deepEqual(errors, []);
});

test("a phone in the dark can chat too", async (t) => {
  const phone = { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true };
  const room = "the-train";
  const ada = await newPerson(t, "Ada", `/chat/${room}`, phone);
  await composer(ada.page, room).fill("On my way.");
  await ada.page.getByRole("button", { name: "Send" }).click();
  await said(ada.page, "On my way.").waitFor();
  const wide = await ada.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "the page scrolls sideways");
  await picture(ada.page, "chat-phone-dark");
});

test("an address of no room makes one when one says so, and not before", async (t) => {
  const room = "the-kichen";
  const rooms = async () => {
    const lists = await Promise.all([{}, { mine: true }].map((which) => ask(house.server.url, "jonas", "room:list", which)));
    return lists.flatMap((list) => list.rooms.map(({ id }) => id));
  };
  const { page } = await person(t, house.browser);
  await page.goto(`${house.server.url}/chat/${room}`);
  await signIn(page, "Wil");
  await page.getByText("There is no such room").waitFor();
  assert.equal((await rooms()).includes(room), false);
  await picture(page, "chat-no-room");
  // Somebody else's room of that name isn't theirs to see, and isn't made a second time.
  await ask(house.server.url, "maya", "room:create", { id: room, kind: "private" });
  await page.getByRole("button", { name: "Make this room" }).click();
  await page.getByText("isn’t open to you. Somebody in it can invite you.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Make this room" }).count(), 0);
  await ask(house.server.url, "maya", "room:delete", { room });
  await page.reload();
  await page.getByRole("button", { name: "Make this room" }).click();
  await composer(page, room).waitFor();
  assert.equal((await rooms()).includes(room), true);
  // Whoever has mistyped goes back to the rooms that there are.
  await page.goto(`${house.server.url}/chat/${room}-2`);
  await page.getByText("There is no such room").waitFor();
  await page.getByRole("region", { name: `Room ${room}-2` }).getByRole("link", { name: "All rooms" }).last().click();
  await page.getByText("Choose a room").waitFor();
  assert.equal((await rooms()).includes(`${room}-2`), false);
});

test("comments of a thing are made by who comes first, and other rooms by who may", async (t) => {
  const env = { LAKH_CHAT__THINGS: "post:*", LAKH_AUTH__RULES: '[{ who = "anyone", deny = "chat:create:t*" }]' };
  const own = await startLakh({ env });
  t.after(() => own.stop());
  const { page } = await person(t, house.browser);
  await page.goto(`${own.url}/chat/post%3A123`);
  await signIn(page, "Ada");
  await say(page, "post:123", "First!");
  await said(page, "First!").waitFor();
  await page.goto(`${own.url}/chat/the-attic`);
  await page.getByRole("button", { name: "Make this room" }).click();
  await page.getByText("“the-attic” isn’t there, and you may not make it.").waitFor();
  await picture(page, "chat-may-not-make");
});

test("a room that is asked for without a connection is made when that is back, and not refused before", async (t) => {
  const room = "the-ferry";
  const network = await startProxy(t, house.server);
  const { page } = await person(t, house.browser);
  await page.goto(`${network.url}/chat/${room}`);
  await signIn(page, "Wilma");
  const make = page.getByRole("button", { name: "Make this room" });
  await make.waitFor();
  network.cut();
  await page.getByText(/No connection to the server/).waitFor();
  await make.click();
  await page.getByText(/may be mistyped/).waitFor();
  network.mend();
  await composer(page, room).waitFor();
});

test("the chat is usable by keyboard alone", async (t) => {
  const room = "the-piano";
  const { page } = await person(t, house.browser);
  await page.goto(`${house.server.url}/chat/${room}`);
  await page.getByRole("textbox", { name: "Your name" }).waitFor();
  // The dialog has taken the focus, and Enter submits it.
  await page.keyboard.type("Clara");
  await page.keyboard.press("Enter");
  // Tab reaches everything within a page's worth of stops.
  const reach = async (wanted) => {
    for (let stops = 0; stops < 40; stops += 1) {
      const name = await page.evaluate(() => {
        const one = document.activeElement;
        return one?.getAttribute("aria-label") ?? one?.textContent;
      });
      if (name === wanted) break;
      await page.keyboard.press("Tab");
    }
  };
  await page.getByRole("button", { name: "Make this room" }).waitFor();
  await reach("Make this room");
  await page.keyboard.press("Enter");
  await composer(page, room).waitFor();
  await reach(`Message to ${room}`);
  await page.keyboard.type("By keyboard.");
  await page.keyboard.press("Enter");
  await said(page, "By keyboard.").waitFor();
});
