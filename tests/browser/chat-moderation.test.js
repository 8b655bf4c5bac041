// What moderators do: reports, the log, mutes and bans, roles, edit history, purge, and the rules of a room.

import assert from "node:assert/strict";
import { test } from "node:test";
import { person, picture } from "./support/browser.js";
import { act, article, composer, line, newcomer, roomMenu, said, say } from "./support/chat.js";
import { openHouse } from "./support/house.js";

const house = openHouse();

// Ada makes the room, and so owns it.
async function two(t, room) {
  const ada = await newcomer(await person(t, house.browser), house.server.url, "Ada", room);
  const ben = await newcomer(await person(t, house.browser), house.server.url, "Ben", room);
  await say(ben.page, room, "Buy now!");
  await said(ada.page, "Buy now!").waitFor();
  return { ada, ben };
}

const panel = (page, name) => page.getByRole("complementary", { name });

async function onMember(page, name, entry) {
  await page.getByRole("button", { name: /online/ }).click();
  await panel(page, "Members").getByRole("button", { name: `Act on ${name}` }).click();
  await page.getByRole("menuitem", { name: entry }).click();
}

test("a report comes to the moderator, who deletes the message and finds both in the lists", async (t) => {
  const room = "market";
  const { ada, ben } = await two(t, room);
  const grace = await newcomer(await person(t, house.browser), house.server.url, "Grace", room);
  await act(grace.page, "Buy now!", "Report");
  await grace.page.getByRole("button", { name: "Spam" }).click();
  await grace.page.getByRole("button", { name: "Report", exact: true }).click();
  await ada.page.getByText(/Grace has reported a message of Ben/).waitFor();
  await roomMenu(ada.page, "Reports");
  const reports = panel(ada.page, "Reports");
  const open = reports.getByRole("list", { name: "Open reports" }).getByRole("listitem");
  await open.getByText("Buy now!").waitFor();
  await picture(ada.page, "moderation-reports");
  await open.getByRole("button", { name: "Delete message" }).click();
  await ada.page.getByRole("textbox", { name: /Note/ }).fill("Second time");
  await ada.page.getByRole("button", { name: "Delete and close" }).click();
  await ben.page.getByText("This message was deleted").first().waitFor();
  await reports.getByText("Nothing to look at").waitFor();
  await reports.getByRole("button", { name: "Closed" }).click();
  await reports.getByText(/Message deleted by Ada.*Second time/).waitFor();
  await ada.page.getByRole("button", { name: "Close reports" }).click();
  await roomMenu(ada.page, "Moderation log");
  await panel(ada.page, "Moderation log").getByText(/Ada closed a report on a message of Ben/).waitFor();
  // Who is no moderator is not offered any of it.
  await ben.page.getByRole("button", { name: "Room menu" }).click();
  assert.equal(await ben.page.getByRole("menuitem", { name: "Reports" }).count(), 0);
  assert.deepEqual([ada.errors, ben.errors, grace.errors], [[], [], []]);
});

test("who is muted can't write until they have their voice again", async (t) => {
  const room = "library";
  const { ada, ben } = await two(t, room);
  await onMember(ada.page, "Ben", "Mute…");
  await ada.page.getByLabel("For how long").selectOption("An hour");
  await ada.page.getByRole("button", { name: "Mute", exact: true }).click();
  const members = panel(ada.page, "Members");
  await members.getByText("muted").waitFor();
  await say(ben.page, room, "But");
  await ben.page.getByText(/Not sent/).waitFor();
  await members.getByRole("button", { name: "Act on Ben" }).click();
  await ada.page.getByRole("menuitem", { name: "Let speak again" }).click();
  await members.getByText("muted").waitFor({ state: "detached" });
  await ben.page.getByRole("button", { name: "Send again" }).click();
  await said(ada.page, "But").waitFor();
});

test("who is banned is put out with the reason, and comes back when the ban is lifted", async (t) => {
  const room = "pool";
  const { ada, ben } = await two(t, room);
  await onMember(ada.page, "Ben", "Ban…");
  await ada.page.getByLabel("For how long").selectOption("For good");
  await ada.page.getByRole("textbox", { name: /Why/ }).fill("No diving");
  await picture(ada.page, "moderation-ban");
  await ada.page.getByRole("button", { name: "Ban", exact: true }).click();
  await ben.page.getByText(/You were banned from pool: No diving/).waitFor();
  const members = panel(ada.page, "Members");
  await members.getByRole("button", { name: "Banned" }).click();
  const banned = members.getByRole("list", { name: "Banned people" });
  await banned.getByText("No diving").waitFor();
  await picture(ada.page, "moderation-bans");
  await banned.getByRole("button", { name: "Lift ban" }).click();
  await members.getByText("Nobody is banned").waitFor();
  await ben.page.goto(`${house.server.url}/chat/${room}`);
  await ben.page.getByRole("button", { name: "Join room" }).click();
  await composer(ben.page, room).waitFor();
});

test("a moderator's role is given, and the new one sees what moderators see", async (t) => {
  const room = "bridge";
  const { ada, ben } = await two(t, room);
  await onMember(ada.page, "Ben", "Make moderator");
  await panel(ada.page, "Members").getByText("moderator").waitFor();
  await ben.page.getByRole("button", { name: "Room menu" }).click();
  await ben.page.getByRole("menuitem", { name: "Reports" }).waitFor();
});

test("what a message said before is found in its history, and purged with it", async (t) => {
  const room = "archive";
  const { ada, ben } = await two(t, room);
  await composer(ben.page, room).click();
  await ben.page.keyboard.press("ArrowUp");
  await ben.page.getByRole("textbox", { name: "Edit message" }).fill("Buy later!");
  await ben.page.keyboard.press("Enter");
  await article(ada.page).getByText("Buy later!").waitFor();
  await act(ada.page, "Buy later!", "Edit history");
  const history = ada.page.getByRole("dialog", { name: "Edit history" });
  await history.getByText("Buy now!").waitFor();
  await picture(ada.page, "moderation-history");
  await ada.page.keyboard.press("Escape");
  await act(ada.page, "Buy later!", "Purge");
  await ada.page.getByRole("dialog").getByRole("button", { name: "Purge" }).click();
  await ben.page.getByText("This message was deleted").first().waitFor();
  await line(ada.page, "This message was deleted").hover();
  await ada.page.getByRole("button", { name: "More" }).click();
  await ada.page.getByRole("menuitem", { name: "Copy link" }).waitFor();
  assert.equal(await ada.page.getByRole("menuitem", { name: "Edit history" }).count(), 0);
});

test("a room's name, topic and rules are changed, and hold at once", async (t) => {
  const room = "council";
  const { ada, ben } = await two(t, room);
  await roomMenu(ada.page, "Room settings");
  const settings = ada.page.getByRole("dialog", { name: "Room settings" });
  await settings.getByRole("textbox", { name: "Name" }).fill("The council");
  await settings.getByRole("textbox", { name: "Topic" }).fill("What is to be done");
  await settings.getByLabel("Slow mode").selectOption("An hour");
  await settings.getByLabel("Reactions").selectOption("One a person");
  await settings.getByRole("textbox", { name: /Words/ }).fill("darn");
  await picture(ada.page, "room-settings");
  await settings.getByRole("button", { name: "Save" }).click();
  await ben.page.getByRole("heading", { name: "The council" }).waitFor();
  await ben.page.getByText("What is to be done").first().waitFor();
  await say(ben.page, "The council", "darn");
  await ben.page.getByText(/Not sent: .*word/).waitFor();
  await say(ben.page, "The council", "First");
  await said(ada.page, "First").waitFor();
  await say(ben.page, "The council", "Second");
  await ben.page.getByText(/Not sent: .*(slow|wait)/i).waitFor();
});

test("a room is archived, opened again, and deleted when its name was written", async (t) => {
  const room = "attic";
  const { ada, ben } = await two(t, room);
  await roomMenu(ada.page, "Room settings");
  const settings = ada.page.getByRole("dialog", { name: "Room settings" });
  await settings.getByRole("button", { name: "Archive" }).click();
  await ben.page.getByText("This room is archived: it can be read only.").waitFor();
  await settings.getByRole("button", { name: "Open again" }).click();
  await composer(ben.page, room).waitFor();
  await settings.getByRole("button", { name: "Delete…" }).click();
  const sure = ada.page.getByRole("dialog", { name: "Delete the room?" });
  assert.equal(await sure.getByRole("button", { name: "Delete for good" }).isDisabled(), true);
  await sure.getByRole("textbox").fill(room);
  await sure.getByRole("button", { name: "Delete for good" }).click();
  await sure.waitFor({ state: "detached" });
  await ben.page.getByRole("link", { name: /attic/ }).waitFor({ state: "detached" });
});
