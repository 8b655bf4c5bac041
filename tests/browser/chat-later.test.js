// Messages at a time: sent later, for a while, and reactions that float by.

import assert from "node:assert/strict";
import { test } from "node:test";
import { person, picture } from "./support/browser.js";
import { article, composer, newcomer, roomMenu, said, say } from "./support/chat.js";
import { openHouse } from "./support/house.js";

const house = openHouse();

async function write(page, room, text, option) {
  await composer(page, room).fill(text);
  await page.getByRole("button", { name: "Message options" }).click();
  await page.getByRole("menuitem", { name: option }).click();
}

test("a message is scheduled, changed, and arrives when it is sent now", async (t) => {
  const room = "later";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
  await write(ada.page, room, "Happy birthday", "Send later…");
  const dialog = ada.page.getByRole("dialog", { name: "Send later" });
  await dialog.getByLabel("When").fill("2001-01-01T10:00");
  await dialog.getByText("This time has passed.").waitFor();
  assert.equal(await dialog.getByRole("button", { name: "Schedule" }).isDisabled(), true);
  await dialog.getByRole("button", { name: "Tomorrow at 9:00" }).click();
  await picture(ada.page, "later-when");
  await dialog.getByRole("button", { name: "Schedule" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal(await composer(ada.page, room).inputValue(), "");
  // Nothing else was sent on the way: what is said next is the room's first message.
  await say(ada.page, room, "No secrets here");
  await said(grace.page, "No secrets here").waitFor();
  assert.equal(await article(grace.page).locator("[data-line]").count(), 1);

  // It is still there after the page was loaded anew.
  await ada.page.reload();
  await ada.page.getByRole("button", { name: "1 scheduled" }).click();
  const panel = ada.page.getByRole("complementary", { name: "Scheduled messages" });
  await panel.getByText("Happy birthday").waitFor();
  await panel.getByRole("button", { name: "Change" }).click();
  const change = ada.page.getByRole("dialog", { name: "Change the message" });
  await change.getByRole("textbox", { name: "Message", exact: true }).fill("Happy birthday, Grace");
  await change.getByRole("button", { name: "Save" }).click();
  await panel.getByText("Happy birthday, Grace").waitFor();
  await picture(ada.page, "later-list");
  assert.equal(await said(grace.page, "Happy birthday, Grace").count(), 0);
  await panel.getByRole("button", { name: "Send now" }).click();
  await said(grace.page, "Happy birthday, Grace").waitFor();
  await panel.getByText("Nothing is waiting").waitFor();
  assert.deepEqual([ada.errors, grace.errors], [[], []]);
});

test("a scheduled message that is cancelled is not sent", async (t) => {
  const room = "never";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  await write(ada.page, room, "Rather not", "Send later…");
  await ada.page.getByRole("button", { name: "Schedule" }).click();
  await ada.page.getByRole("button", { name: "1 scheduled" }).click();
  const panel = ada.page.getByRole("complementary", { name: "Scheduled messages" });
  await panel.getByRole("button", { name: "Cancel" }).click();
  await panel.getByText("Nothing is waiting").waitFor();
  await ada.page.reload();
  await composer(ada.page, room).waitFor();
  await roomMenu(ada.page, "Scheduled messages");
  await panel.getByText("Nothing is waiting").waitFor();
});

test("a message that disappears says so, to everybody", async (t) => {
  const room = "snow";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
  await write(ada.page, room, "The code is 4711", "5 minutes");
  await said(grace.page, "The code is 4711").waitFor();
  for (const { page } of [ada, grace]) await article(page).getByText("Disappears in 5 minutes").waitFor();
  await picture(grace.page, "later-disappears");
});

test("live reactions float by at all who watch, and are not kept", async (t) => {
  const room = "stage";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
  await say(ada.page, room, "Curtain!");
  await said(grace.page, "Curtain!").waitFor();
  await roomMenu(grace.page, "Live reactions");
  const bar = grace.page.getByRole("group", { name: "Live reactions" });
  const floating = (page) => page.locator("[data-live='🎉']");
  const seen = [ada, grace].map(({ page }) => floating(page).first().waitFor({ state: "attached" }));
  await bar.getByRole("button", { name: /🎉/ }).click();
  await Promise.all(seen);
  await picture(grace.page, "later-live");
  await floating(ada.page).first().waitFor({ state: "detached" });
  await bar.getByRole("button", { name: "Close live reactions" }).click();
  await bar.waitFor({ state: "detached" });
  assert.deepEqual([ada.errors, grace.errors], [[], []]);
});
