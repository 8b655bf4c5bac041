// Files and search on the page, as two people use them.

import { test } from "node:test";
import { person, picture } from "./support/browser.js";
import { composer, line, newcomer, said, say } from "./support/chat.js";
import { openHouse } from "./support/house.js";

const house = openHouse();

// A picture as a page can draw one: 320 by 200.
const png = (page) =>
  page.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 200 });
    const context = canvas.getContext("2d");
    context.fillStyle = "teal";
    context.fillRect(40, 40, 240, 120);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    return [...new Uint8Array(await blob.arrayBuffer())];
  });

test("a picture is uploaded, keeps its place while it loads, and opens large", async (t) => {
  const room = "pictures";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
  await ada.page.getByRole("button", { name: "Attach files" }).waitFor();
  const buffer = Buffer.from(await png(ada.page));
  const file = { name: "box.png", mimeType: "image/png", buffer };
  await ada.page.getByLabel("Files to attach").setInputFiles(file);
  await ada.page.getByRole("progressbar").waitFor({ state: "detached" });
  await composer(ada.page, room).fill("Look");
  await ada.page.getByRole("button", { name: "Send" }).click();
  const shown = grace.page.getByRole("button", { name: /Picture box\.png/ });
  await shown.waitFor();
  const { width, height } = await shown.boundingBox();
  if (Math.abs(width / height - 1.6) > 0.05) throw new Error(`shown as ${width} by ${height}`);
  await grace.page.waitForFunction(
    (element) => element.querySelector("img").naturalWidth > 0,
    await shown.elementHandle(),
  );
  await shown.click();
  await grace.page.getByRole("dialog", { name: "box.png" }).waitFor();
  await picture(grace.page, "chat-picture");
  await grace.page.keyboard.press("Escape");
  await grace.page.getByRole("dialog").waitFor({ state: "detached" });
});

test("a file that waits for its message stays in its room", async (t) => {
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", "desk");
  const buffer = Buffer.from("a, b\n1, 2\n");
  await ada.page.getByLabel("Files to attach").setInputFiles({ name: "sums.csv", mimeType: "text/csv", buffer });
  const waiting = ada.page.getByRole("list", { name: "Files" }).getByText("sums.csv");
  await waiting.waitFor();
  await ada.page.getByRole("button", { name: "New room" }).first().click();
  await ada.page.getByRole("dialog").getByRole("textbox", { name: "Name" }).fill("shed");
  await ada.page.getByRole("button", { name: "Go to room" }).click();
  await composer(ada.page, "shed").waitFor();
  await waiting.waitFor({ state: "detached" });
  await ada.page.getByRole("link", { name: /^desk/ }).click();
  await composer(ada.page, "desk").waitFor();
  await waiting.waitFor();
  await composer(ada.page, "desk").fill("The sums");
  await ada.page.getByRole("button", { name: "Send", exact: true }).click();
  await ada.page.getByRole("article").getByRole("link", { name: /sums\.csv/ }).waitFor();
});

test("what was said is found by its words, marked, and led to", async (t) => {
  const room = "library";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  await say(ada.page, room, "The peacock sleeps in the mango tree");
  for (let n = 1; n <= 9; n += 1) await say(ada.page, room, `nothing ${n}`);
  await said(ada.page, "nothing 9").waitFor();
  await ada.page.getByRole("button", { name: "Search", exact: true }).click();
  await ada.page.getByRole("searchbox", { name: "Search messages" }).fill("mango");
  const panel = ada.page.getByRole("complementary", { name: "Search" });
  await panel.locator("mark", { hasText: "mango" }).waitFor();
  await picture(ada.page, "chat-search");
  await panel.getByRole("button", { name: /peacock/ }).click();
  await line(ada.page, "The peacock sleeps").waitFor();
});

test("the other sees who has read", async (t) => {
  const room = "receipts";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  await say(ada.page, room, "Come in");
  // Who comes has read what was said before, and nobody is told of that.
  const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
  await said(grace.page, "Come in").waitFor();
  await say(ada.page, room, "Read me");
  await said(grace.page, "Read me").waitFor();
  await ada.page.getByRole("img", { name: "Read by Grace" }).waitFor();
});
