// The chat page, as people use it.

export const composer = (page, room) => page.getByRole("textbox", { name: `Message to ${room}` });
export const article = (page) => page.getByRole("article");
export const said = (page, text) => article(page).getByText(text, { exact: true });
export const line = (page, text) => page.locator("[data-line]", { hasText: text }).first();

// Signs in by name, at a room or in the list.
export async function newcomer(who, url, name, path = "") {
  await who.page.goto(`${url}/chat/${path}`);
  await who.page.getByRole("textbox", { name: "Your name" }).fill(name);
  await who.page.getByRole("button", { name: "Come in" }).click();
  if (path !== "") await join(who.page);
  return who;
}

// In a room that is there already one is a visitor first; one that isn't is made when one says so, and whoever makes it is in it.
export async function join(page) {
  const button = page.getByRole("button", { name: /^(Join room|Make this room)$/ });
  const field = page.getByRole("textbox", { name: /^Message to / });
  await button.or(field).first().waitFor();
  if (await button.isVisible()) await button.click();
  await field.waitFor();
}

// Written by hand, key by key, and sent with Enter.
export async function say(page, room, text) {
  await composer(page, room).click();
  await page.keyboard.insertText(text);
  await page.keyboard.press("Enter");
}

// An entry of a message's menu.
export async function act(page, text, entry) {
  await line(page, text).hover();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: entry }).click();
}

// An entry of the menu of the room that is open.
export async function roomMenu(page, entry) {
  await page.getByRole("button", { name: "Room menu" }).click();
  await page.getByRole("menuitem", { name: entry }).click();
}
