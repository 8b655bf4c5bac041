// The sign-in as people meet it: a real browser, a real provider, the page of the real binary.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { io } from "socket.io-client";
import { launch, person, picture } from "../browser/support/browser.js";
import { address, localAdmin, PASSWORD, startLakh } from "./support/lakh.js";
import { startProvider } from "./support/provider.js";
import { Walker } from "./support/walker.js";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

async function both(t, env = {}) {
  const lakh = await address();
  const provider = await startProvider(t, lakh);
  const server = await startLakh(t, lakh, { ...provider.settings, ...env });
  return { lakh, provider, server };
}

// Through the provider's own pages.
async function throughProvider(page, name) {
  await page.getByRole("textbox", { name: "Enter any login" }).fill(name);
  await page.getByPlaceholder("and password").fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}

const withProvider = (page) => page.getByRole("link", { name: "Sign in with Example" });
const tiles = (page) => page.getByText("Live connections", { exact: true });

async function withPassword(page, user, password) {
  await page.getByRole("textbox", { name: "Name" }).fill(user);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in with a password" }).click();
}

const menuOf = (page, name) => page.getByRole("button", { name: new RegExp(`^${name} ?, settings$`) });
const openMenu = (page, name) => menuOf(page, name).click();

function certificate(t) {
  const folder = mkdtempSync(join(tmpdir(), "lakh-oidc-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"];
  const names = ["-subj", "/CN=lakh", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = spawnSync("openssl", [...args, ...names, "-keyout", key, "-out", cert]);
  if (made.status !== 0) throw new Error(String(made.stderr));
  return { LAKH_TLS__CERT: cert, LAKH_TLS__KEY: key };
}

test("over TLS a person signs in at the provider, sees figures, chats, and signs out at both", async (t) => {
  const lakh = await address("https");
  const provider = await startProvider(t, lakh);
  await startLakh(t, lakh, { ...provider.settings, ...certificate(t) });
  const { page } = await person(t, browser, { ignoreHTTPSErrors: true });
  await page.goto(lakh);
  await picture(page, "sign-in-provider");
  await withProvider(page).click();
  await throughProvider(page, "ada");
  await tiles(page).waitFor();
  assert.equal(page.url(), `${lakh}/`);

  const cookies = await page.context().cookies(lakh);
  const session = cookies.find(({ name }) => name === "__Host-lakh");
  const { secure, httpOnly, sameSite, path, domain } = session;
  assert.deepEqual({ secure, httpOnly, sameSite, path, domain }, {
    secure: true,
    httpOnly: true,
    sameSite: "Strict",
    path: "/",
    domain: "127.0.0.1",
  });
  assert.ok(!cookies.some(({ name }) => name.includes("login")), "the sign-in's own cookie is gone");
  assert.equal(await page.evaluate(() => document.cookie), "");

  // A socket of the page is signed in by the same session.
  await page.getByRole("link", { name: "Chat", exact: true }).click();
  await page.getByRole("button", { name: /new room|make a room|first room/i }).first().click();
  await page.getByRole("textbox", { name: "Name" }).fill("the-lobby");
  await page.getByRole("button", { name: "Go to room" }).click();
  await page.getByRole("textbox", { name: "Message to the-lobby" }).fill("Signed in.");
  await page.keyboard.press("Enter");
  await page.getByRole("article").getByText("Signed in.", { exact: true }).waitFor();
  await picture(page, "chat-by-session");

  await page.goto(lakh);
  await tiles(page).waitFor();
  await openMenu(page, "Ada");
  await page.getByText("May do everything").waitFor();
  await picture(page, "user-menu");
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  // The provider asks whether it is meant.
  await page.getByRole("button", { name: /yes/i }).click();
  await withProvider(page).waitFor();
  assert.equal(new URL(page.url()).pathname, "/sign-in");
  assert.equal((await page.context().cookies(lakh)).find(({ name }) => name === "__Host-lakh"), undefined);
  // The provider has forgotten them too.
  await withProvider(page).click();
  await page.getByRole("textbox", { name: "Enter any login" }).waitFor();
});

test("who may only look sees so, and who has no role is told in words", async (t) => {
  const { lakh, provider } = await both(t);
  const grace = await person(t, browser);
  await grace.page.goto(`${lakh}/chat`);
  await withProvider(grace.page).click();
  await throughProvider(grace.page, "grace");
  await menuOf(grace.page, "Grace").waitFor();
  assert.equal(new URL(grace.page.url()).pathname, "/chat", "back to where they were");
  await openMenu(grace.page, "Grace");
  await grace.page.getByText("May look, and change nothing").waitFor();

  const eve = await person(t, browser);
  await eve.page.goto(lakh);
  await withProvider(eve.page).click();
  await throughProvider(eve.page, "eve");
  await eve.page.getByRole("alert").getByText(/none of your roles may use this console/).waitFor();
  await picture(eve.page, "sign-in-no-role");

  await provider.stop();
  const late = await startLakh(t, await address(), { ...provider.settings });
  const nobody = await person(t, browser);
  await nobody.page.goto(`${late.url}/sign-in?return_to=//evil.example`);
  await withProvider(nobody.page).click();
  await nobody.page.getByRole("alert").getByText(/provider can’t be reached/).waitFor();
  await picture(nobody.page, "sign-in-provider-away");
});

test("the local admin signs in by keyboard alone, on a phone in the dark", async (t) => {
  const { lakh } = await both(t, localAdmin());
  const phone = { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true };
  const { page, errors } = await person(t, browser, phone);
  await page.goto(lakh);
  await withProvider(page).waitFor();
  await picture(page, "sign-in-phone-dark");
  // Tab reaches the fields, in their order.
  await page.keyboard.press("Tab");
  for (let stops = 0; stops < 20; stops += 1) {
    if (await page.evaluate(() => document.activeElement?.autocomplete === "username")) break;
    await page.keyboard.press("Tab");
  }
  await page.keyboard.type("root");
  await page.keyboard.press("Tab");
  await page.keyboard.type("not the password");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("Name or password is wrong.").waitFor();
  await picture(page, "sign-in-wrong-password-phone-dark");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "the page scrolls sideways");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await tiles(page).waitFor();
  await picture(page, "overview-by-session-phone-dark");
  // The one refusal of the wrong password is a line in the browser's own console.
  assert.deepEqual(
    errors.filter((text) => !text.includes("401")),
    [],
  );
});

test("a session says when it is about to end, and that it has ended", async (t) => {
  const lakh = await address();
  const env = { LAKH_CONSOLE__SESSION_MS: "240000", LAKH_CONSOLE__SESSION_IDLE_MS: "15000" };
  await startLakh(t, lakh, { ...localAdmin(), ...env });
  const { page } = await person(t, browser);
  await page.goto(`${lakh}/chat`);
  await withPassword(page, "root", PASSWORD);
  await page.getByText(/Your session ends in 4 minutes/).waitFor();
  await picture(page, "session-ends");
  await page.getByRole("link", { name: "Sign in again" }).click();
  await withPassword(page, "root", PASSWORD);
  await page.waitForURL(`${lakh}/chat`);

  await page.getByRole("link", { name: "Overview", exact: true }).click();
  await tiles(page).waitFor();
  // Ended elsewhere: the page finds out with its next question.
  const thief = new Walker();
  const [session] = (await page.context().cookies(lakh)).filter(({ name }) => name === "lakh-session");
  thief.jar(lakh).set(session.name, session.value);
  assert.equal((await thief.post(lakh, "/api/v1/session/end")).status, 200);
  await page.getByRole("alert").getByText(/Your session has ended/).waitFor();
  await picture(page, "session-ended");
});

// A page of another site, which may run what it likes.
async function evil(t) {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end("<!doctype html><title>evil</title>");
  });
  server.listen(0, "localhost");
  await once(server, "listening");
  t.after(() => server.close());
  return `http://localhost:${server.address().port}`;
}

// In the page: opens a WebSocket, asks for the namespace, and tells what comes of it.
function connect(url) {
  return new Promise((done) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
    socket.onerror = () => done("refused");
    socket.onmessage = ({ data }) => {
      if (data.startsWith("0")) socket.send("40/chat,");
      else if (data.startsWith("4")) done(data.slice(0, 2));
    };
  });
}

test("another site's page opens no socket and changes nothing, in a browser that is signed in", async (t) => {
  const site = await evil(t);
  // Even where that site is let in, the session does not count for it.
  for (const [env, expected] of [
    [{}, "refused"],
    [{ LAKH_CORS__ORIGINS: site, LAKH_CORS__CREDENTIALS: "true" }, "44"],
  ]) {
    const lakh = await address();
    const server = await startLakh(t, lakh, { ...localAdmin(), ...env });
    const { page } = await person(t, browser);
    await page.goto(lakh);
    await withPassword(page, "root", PASSWORD);
    await tiles(page).waitFor();
    assert.equal(await page.evaluate(connect, lakh), "40", "the page itself is let in");

    const other = await page.context().newPage();
    await other.goto(site);
    assert.equal(await other.evaluate(connect, lakh), expected);
    const posted = await other.evaluate(async (lakh) => {
      const ask = (path, options) =>
        fetch(`${lakh}${path}`, { credentials: "include", mode: "no-cors", ...options }).then(() => "sent");
      await ask("/api/v1/session/end", { method: "POST" });
      return ask("/api/v1/session", { method: "POST", body: JSON.stringify({ user: "root", password: "x" }) });
    }, lakh);
    assert.equal(posted, "sent");
    // A form needs no leave of anybody.
    await other.evaluate((lakh) => {
      const form = document.createElement("form");
      Object.assign(form, { method: "post", action: `${lakh}/api/v1/session/end` });
      document.body.append(form);
      form.submit();
    }, lakh);
    await other.waitForURL(`${lakh}/api/v1/session/end`);
    assert.match(await other.content(), /cross_site/);
    assert.doesNotMatch(server.log(), /signed out/);
    await page.reload();
    await tiles(page).waitFor();
  }
});

test("a stolen cookie with another origin opens nothing; with the page's own it is the session", async (t) => {
  const site = "https://evil.example";
  const lakh = await address();
  await startLakh(t, lakh, { ...localAdmin(), LAKH_CORS__ORIGINS: site });
  const admin = new Walker();
  assert.equal((await admin.post(lakh, "/api/v1/session", { user: "root", password: PASSWORD })).status, 204);
  const cookie = `lakh-session=${admin.cookie(lakh, "lakh-session")}`;
  const outcome = (transport, headers, auth) =>
    new Promise((done) => {
      const options = { transports: [transport], extraHeaders: headers, forceNew: true, reconnection: false, auth };
      const socket = io(`${lakh}/chat`, options);
      t.after(() => socket.disconnect());
      socket.once("connect", () => done("in"));
      socket.once("connect_error", (error) => done(error.data?.code ?? "refused"));
    });
  for (const transport of ["websocket", "polling"]) {
    assert.equal(await outcome(transport, { cookie, origin: lakh }), "in");
    assert.equal(await outcome(transport, { cookie, origin: lakh }, { session: true }), "in");
    assert.equal(await outcome(transport, { cookie, origin: site }), "unauthorized");
    // Long polling from another site is refused before anybody is asked.
    const crossed = await outcome(transport, { cookie, "sec-fetch-site": "cross-site" });
    assert.equal(crossed, transport === "polling" ? "refused" : "unauthorized");
    assert.equal(await outcome(transport, { origin: lakh }), "unauthorized");
    // A token that is none is not made good by a cookie.
    assert.equal(await outcome(transport, { cookie, origin: lakh }, { token: "x.y.z" }), "unauthorized");
  }
  await admin.post(lakh, "/api/v1/session/end");
  assert.equal(await outcome("websocket", { cookie, origin: lakh }), "unauthorized", "after the sign-out");
});
