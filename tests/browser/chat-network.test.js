// What the network does to people: it is cut and comes back, the server refuses, files come by drop and by paste.

import assert from "node:assert/strict";
import { test } from "node:test";
import { person, picture } from "./support/browser.js";
import { article, composer, line, newcomer, said, say } from "./support/chat.js";
import { drawings } from "./support/drawings.js";
import { openHouse } from "./support/house.js";
import { startProxy } from "./support/proxy.js";
import { ask, idOf, nameOf } from "./support/team.js";

const house = openHouse();

test("a cut network is told of, keeps what is written, and brings what was missed", async (t) => {
  const room = "tunnel";
  const network = await startProxy(t, house.server);
  const ada = await newcomer(await person(t, house.browser), network.url, "Ada", room);
  const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
  await say(ada.page, room, "going in");
  await said(grace.page, "going in").waitFor();
  network.cut();
  await ada.page.getByText(/No connection to the server/).waitFor();
  for (const text of ["it is dark", "and long"]) await say(ada.page, room, text);
  const waiting = ada.page.getByRole("img", { name: "Waiting for the connection" });
  await waiting.nth(1).waitFor();
  await say(grace.page, room, "are you there?");
  await said(grace.page, "are you there?").waitFor();
  await picture(ada.page, "chat-cut");
  network.mend();
  await ada.page.getByText(/No connection to the server/).waitFor({ state: "detached" });
  const all = ["going in", "are you there?", "it is dark", "and long"];
  for (const { page } of [ada, grace]) {
    await said(page, "and long").waitFor();
    await said(page, "are you there?").waitFor();
    await page.getByRole("img", { name: "Waiting for the connection" }).first().waitFor({ state: "detached" });
    const shown = await article(page).locator("p").allInnerTexts();
    assert.deepEqual(shown.map((text) => text.trim()), all);
  }
});

test("a message that was refused says why, and is sent again when one asks", async (t) => {
  const room = "hush";
  await ask(house.server.url, "jonas", "room:join", { room });
  const maya = await newcomer(await person(t, house.browser), house.server.url, nameOf("maya"), room);
  await say(maya.page, room, "first");
  await said(maya.page, "first").waitFor();
  await ask(house.server.url, null, "member:mute", { room, person: idOf("maya"), seconds: 600 });
  await say(maya.page, room, "second");
  const failed = maya.page.getByRole("alert").filter({ hasText: "Not sent" });
  await failed.waitFor();
  // It is still there after a reload, with the reason to try again.
  await maya.page.reload();
  await failed.waitFor();
  await ask(house.server.url, null, "member:mute", { room, person: idOf("maya"), seconds: null });
  await failed.getByRole("button", { name: "Send again" }).click();
  await failed.waitFor({ state: "detached" });
  await said(maya.page, "second").waitFor();
  const { message } = await ask(house.server.url, "jonas", "message:get", { room, seq: 2 });
  assert.equal(message.text, "second");
});

// The events that a browser makes of a file that is let go over the page, or pasted.
const give = (page, how, { name, bytes }) =>
  page.evaluate(
    ([how, name, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
      const field = document.querySelector("form textarea");
      const options = { bubbles: true, cancelable: true };
      if (how === "paste") {
        field.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: data }));
        return;
      }
      for (const type of ["dragenter", "dragover"]) {
        field.dispatchEvent(new DragEvent(type, { ...options, dataTransfer: data }));
      }
      const over = [...document.querySelectorAll("div")].some((one) => one.textContent === "Drop files to attach them");
      field.dispatchEvent(new DragEvent("drop", { ...options, dataTransfer: data }));
      return over;
    },
    [how, name, [...bytes]],
  );

for (const how of ["drop", "paste"]) {
  test(`a picture that comes by ${how} is uploaded, sent, and seen by the other`, async (t) => {
    const room = `by-${how}`;
    const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
    const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
    await ada.page.getByRole("button", { name: "Attach files" }).waitFor();
    await give(ada.page, how, { name: "harbour.png", bytes: await drawings(house.browser)("harbour") });
    const list = ada.page.getByRole("list", { name: "Files" });
    await list.getByText("harbour.png").waitFor();
    await list.getByRole("progressbar").waitFor({ state: "detached" });
    await composer(ada.page, room).click();
    await ada.page.keyboard.press("Enter");
    const shown = grace.page.getByRole("button", { name: "Picture harbour.png, open" });
    await shown.waitFor();
    await grace.page.waitForFunction(
      (element) => element.querySelector("img").naturalWidth > 0,
      await shown.elementHandle(),
    );
    await list.waitFor({ state: "detached" });
    assert.deepEqual([ada.errors, grace.errors], [[], []]);
  });
}

test("a file that the server refuses says so, and goes when it is taken off", async (t) => {
  const room = "refused";
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  await ada.page.getByRole("button", { name: "Attach files" }).waitFor();
  const file = { name: "empty.txt", mimeType: "text/plain", buffer: Buffer.alloc(0) };
  await ada.page.getByLabel("Files to attach").setInputFiles(file);
  const list = ada.page.getByRole("list", { name: "Files" });
  await list.getByRole("alert").waitFor();
  await list.getByRole("button", { name: "Remove empty.txt" }).click();
  await list.waitFor({ state: "detached" });
  await say(ada.page, room, "without it");
  await line(ada.page, "without it").waitFor();
});
