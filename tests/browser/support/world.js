// The world's page, as people use it: what is on the canvas is also said in words, which is what is looked at here.

export const stage = (page) => page.getByRole("application", { name: /^The world / });

// Signs in by name, at a world.
export async function traveller(who, url, name, world) {
  await who.page.goto(`${url}/world/${world}`);
  await who.page.getByRole("textbox", { name: "Your name" }).fill(name);
  await who.page.getByRole("button", { name: "Come in" }).click();
  await place(who.page).waitFor();
  await stage(who.page).focus();
  return who;
}

export const place = (page) => page.getByRole("status", { name: "Where you are" });

// Where one is, by one's own page.
export async function at(page) {
  const text = await place(page).innerText();
  return text.replaceAll("−", "-").split(",").map(Number);
}

// Resolves once what `look` finds in the page fits.
export async function until(page, look, fits, what) {
  const end = Date.now() + 30_000;
  for (;;) {
    const seen = await look(page);
    if (fits(seen)) return seen;
    if (Date.now() > end) throw new Error(`${what}: still ${JSON.stringify(seen)}`);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
  }
}

// Walks by a key until one is where one wants to be, and stands again.
export async function walk(page, key, there, what) {
  await page.keyboard.down(key);
  await until(page, at, there, what);
  await page.keyboard.up(key);
  await until(page, () => place(page).getAttribute("aria-busy"), (busy) => busy === "false", "one stands");
}

// Who is in sight: names with how far away they are, 0 for oneself.
export async function people(page) {
  const list = page.getByRole("list", { name: "People in sight" });
  if (!(await list.isVisible())) await page.getByRole("button", { name: /^\d+ (person|people)/ }).click();
  const rows = await list.getByRole("listitem").allInnerTexts();
  return Object.fromEntries(
    rows.map((row) => {
      const [name, far] = row.split("\n").filter((part) => part !== "");
      return [name, far === "you" ? 0 : Number.parseInt(far, 10)];
    }),
  );
}

// What the page says is in sight beside people.
export async function inSight(page) {
  const text = await page.locator("#world-summary").innerText();
  const number = (of) => Number(new RegExp(`(\\d+) ${of}`).exec(text)?.[1] ?? 0);
  return { others: number("others"), tiles: number("painted") };
}
