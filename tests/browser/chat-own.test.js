// One's own things: a look before joining, status, picture, whom one blocks, and what the server keeps of one.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { person, picture } from "./support/browser.js";
import { article, composer, newcomer, said, say } from "./support/chat.js";
import { openHouse } from "./support/house.js";

const house = openHouse();

const profile = async (page) => {
  await page.getByRole("button", { name: "Your profile" }).click();
  return page.getByRole("dialog", { name: "Your profile" });
};

async function direct(page, name) {
  await page.getByRole("button", { name: "New room" }).first().click();
  await page.getByText("Direct", { exact: true }).last().click();
  await page.getByRole("textbox", { name: "People" }).fill(name);
  await page.getByRole("list", { name: "Found" }).getByRole("button", { name }).click();
  await page.getByRole("button", { name: "Open chat" }).click();
}

test("a public room is looked at first, and joined by a button", async (t) => {
  const room = "museum";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  await say(ada.page, room, "Welcome");
  const { page, errors } = await newcomer(await person(t, house.browser), house.server.url, "Vera");
  await page.getByRole("link", { name: /museum/ }).click();
  await said(page, "Welcome").waitFor();
  await page.getByText(/You are looking at museum/).waitFor();
  assert.equal(await composer(page, room).count(), 0);
  await picture(page, "own-visit");
  // What is said meanwhile is seen, and one is no member yet.
  await say(ada.page, room, "More is coming");
  await said(page, "More is coming").waitFor();
  await ada.page.getByRole("button", { name: /online/ }).click();
  const members = ada.page.getByRole("complementary", { name: "Members" });
  await members.getByText("Ada").waitFor();
  assert.equal(await members.getByText("Vera").count(), 0);
  await page.getByRole("button", { name: "Join room" }).click();
  await composer(page, room).waitFor();
  await members.getByText("Vera").waitFor();
  assert.deepEqual([ada.errors, errors], [[], []]);
});

test("a direct room is called by the other, who sees whether one is away", async (t) => {
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Adele");
  const ben = await newcomer(await person(t, house.browser), house.server.url, "Benno");
  await direct(ada.page, "Benno");
  await ada.page.getByRole("heading", { name: "Benno" }).waitFor();
  await ada.page.getByText("Online", { exact: true }).waitFor();
  await say(ada.page, "Benno", "Hello Benno");
  await ben.page.getByRole("link", { name: /Adele/ }).click();
  await said(ben.page, "Hello Benno").waitFor();
  const dialog = await profile(ben.page);
  await dialog.getByRole("button", { name: "Away", exact: true }).click();
  await ada.page.getByText("Away", { exact: true }).waitFor();
  await picture(ben.page, "own-profile");
  // It is kept: the page opens with what was chosen.
  await ben.page.reload();
  await profile(ben.page);
  const away = dialog.getByRole("button", { name: "Away", exact: true });
  assert.equal(await away.getAttribute("aria-pressed"), "true");
  await ada.page.getByText("Away", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Online", exact: true }).click();
  await ada.page.getByText("Online", { exact: true }).waitFor();
  await ben.page.context().close();
  await ada.page.getByText(/^Last seen at/).waitFor();
  assert.deepEqual(ada.errors, []);
});

test("a picture of one's own is uploaded, and the other sees it", async (t) => {
  const room = "gallery";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
  await say(ada.page, room, "New hat");
  await said(grace.page, "New hat").waitFor();
  const drawn = await ada.page.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 300, height: 200 });
    const context = canvas.getContext("2d");
    context.fillStyle = "tomato";
    context.fillRect(0, 0, 300, 200);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    return [...new Uint8Array(await blob.arrayBuffer())];
  });
  const dialog = await profile(ada.page);
  const file = { name: "hat.png", mimeType: "image/png", buffer: Buffer.from(drawn) };
  await dialog.getByLabel("Picture").setInputFiles(file);
  await dialog.locator("canvas").waitFor();
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  const shown = article(grace.page).locator("img[src*='/chat/files/']").first();
  await shown.waitFor();
  await grace.page.waitForFunction((img) => img.naturalWidth === 256, await shown.elementHandle());
  await picture(grace.page, "own-picture");
  assert.deepEqual([ada.errors, grace.errors], [[], []]);
});

test("whom one blocks can't write to one, until one takes it back", async (t) => {
  const room = "street";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  const rude = await newcomer(await person(t, house.browser), house.server.url, "Rudolf", room);
  await say(rude.page, room, "Hey you");
  await article(ada.page).getByRole("button", { name: "Rudolf" }).click();
  await ada.page.getByRole("button", { name: "Block" }).click();
  await ada.page.getByText("Rudolf is blocked").waitFor();
  await ada.page.keyboard.press("Escape");
  await direct(rude.page, "Ada");
  await rude.page.getByText(/block/i).first().waitFor();
  await rude.page.keyboard.press("Escape");
  await profile(ada.page);
  await ada.page.getByRole("button", { name: "Blocked people" }).click();
  const blocked = ada.page.getByRole("dialog", { name: "Blocked people" });
  await blocked.getByText("Rudolf").waitFor();
  await picture(ada.page, "own-blocked");
  await blocked.getByRole("button", { name: "Unblock Rudolf" }).click();
  await blocked.getByText("You block nobody").waitFor();
  await direct(rude.page, "Ada");
  await rude.page.getByRole("heading", { name: "Ada" }).waitFor();
});

test("one's data is taken along, and erased when one's name was written", async (t) => {
  const room = "beach";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  const zoe = await newcomer(await person(t, house.browser), house.server.url, "Zoe", room);
  await say(zoe.page, room, "Written in sand");
  await said(ada.page, "Written in sand").waitFor();
  await profile(zoe.page);
  await zoe.page.getByRole("button", { name: "Your data" }).click();
  const dialog = zoe.page.getByRole("dialog", { name: "Your data" });
  await picture(zoe.page, "own-data");
  const coming = zoe.page.waitForEvent("download");
  await dialog.getByRole("button", { name: "Download" }).click();
  const lines = readFileSync(await (await coming).path(), "utf8").trim().split("\n");
  const kinds = lines.map((one) => JSON.parse(one));
  assert.equal(kinds[0].kind, "person");
  assert.ok(lines.some((one) => one.includes("Written in sand")));
  await dialog.getByRole("button", { name: "Erase…" }).click();
  const sure = zoe.page.getByRole("dialog", { name: "Erase everything?" });
  await sure.getByRole("textbox").fill("Zoe");
  await sure.getByRole("button", { name: "Erase for good" }).click();
  await zoe.page.getByRole("textbox", { name: "Your name" }).waitFor();
  await ada.page.getByText("This message was deleted").first().waitFor();
  assert.equal(await said(ada.page, "Written in sand").count(), 0);
});
