// The sign-in step by step, against a real provider: what leads in, and everything that must not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startRedis } from "../nginx/support/redis.js";
import { address, localAdmin, PASSWORD, startLakh } from "./support/lakh.js";
import { startProvider } from "./support/provider.js";
import { Walker } from "./support/walker.js";

const SESSION = "lakh-session";
const LOGIN = "lakh-login";

async function both(t, options = {}, env = {}) {
  const lakh = await address();
  const provider = await startProvider(t, lakh, options);
  const server = await startLakh(t, lakh, { ...provider.settings, ...env });
  return { lakh, provider, server };
}

const problem = (address) => new URL(address).searchParams.get("problem");

test("roles of the provider decide who looks, who changes, and who stays outside", async (t) => {
  const { lakh, provider } = await both(t);
  for (const [name, rights, looks, changes] of [
    ["ada", "all", 200, 200],
    ["grace", "read", 200, 403],
  ]) {
    const person = new Walker();
    const done = await person.signIn(lakh, provider.issuer, name, "?return_to=/chat/general");
    assert.equal(done.status, 303);
    assert.equal(done.next, `${lakh}/chat/general`);
    const who = await person.who(lakh);
    assert.equal(who.rights, rights);
    assert.equal(who.id, `oidc:${name}`);
    assert.equal(who.name.toLowerCase(), name);
    assert.equal(await person.stats(lakh), looks);
    const event = { rooms: ["lobby"], event: "said", data: "from outside" };
    assert.equal((await person.post(lakh, "/api/v1/emit", event)).status, changes);
  }
  for (const name of ["eve", "nobody"]) {
    const person = new Walker();
    const done = await person.signIn(lakh, provider.issuer, name, "?return_to=/chat");
    assert.equal(problem(done.next), "no_role");
    assert.equal(person.cookie(lakh, SESSION), undefined);
    assert.equal(await person.stats(lakh), 401);
  }
});

test("roles may stand deeper, and in the user info alone", async (t) => {
  const { lakh, provider } = await both(t, { inToken: false }, { LAKH_CONSOLE__ROLES_CLAIM: "realm.roles" });
  const ada = new Walker();
  await ada.signIn(lakh, provider.issuer, "ada");
  assert.deepEqual((await ada.who(lakh)).roles, ["lakh-admin", "staff"]);
  const eve = new Walker();
  assert.equal(problem((await eve.signIn(lakh, provider.issuer, "eve")).next), "no_role");
});

test("a sign-in asks for a code with PKCE, a state and a nonce, all new each time", async (t) => {
  const { lakh, provider } = await both(t);
  const seen = new Set();
  for (let round = 0; round < 3; round += 1) {
    const person = new Walker();
    const asked = new URL(await person.begin(lakh)).searchParams;
    assert.equal(asked.get("response_type"), "code");
    assert.equal(asked.get("code_challenge_method"), "S256");
    assert.equal(asked.get("redirect_uri"), `${lakh}/console/callback`);
    assert.deepEqual(asked.get("scope").split(" "), ["openid", "profile", "email", "roles"]);
    for (const name of ["state", "nonce", "code_challenge"]) {
      assert.ok(asked.get(name).length >= 43, `${name} has 256 bits`);
      seen.add(asked.get(name));
    }
    assert.match(person.cookie(lakh, LOGIN), /^[0-9a-f]{64}$/);
    seen.add(person.cookie(lakh, LOGIN));
  }
  assert.equal(seen.size, 12);
  assert.deepEqual(provider.failed, []);
});

test("the provider insists on PKCE, and a code of one sign-in is of no use to another", async (t) => {
  const { lakh, provider } = await both(t);
  const without = new Walker();
  const bare = new URL(await without.begin(lakh));
  bare.searchParams.delete("code_challenge");
  bare.searchParams.delete("code_challenge_method");
  const back = await without.through(provider.issuer, bare.href, "ada");
  assert.equal(new URL(back).searchParams.get("error"), "invalid_request");
  assert.equal(problem((await without.ask(back)).next), "sign_in_refused");
  assert.match(provider.failed.join(), /PKCE/);

  // Mallory's code, put into Ada's sign-in: the verifier is not the one that it was made for.
  const mallory = new Walker();
  const theirs = new URL(await mallory.through(provider.issuer, await mallory.begin(lakh), "grace"));
  const ada = new Walker();
  const own = new URL(await ada.begin(lakh));
  const forged = new URL(`${lakh}/console/callback`);
  forged.searchParams.set("code", theirs.searchParams.get("code"));
  forged.searchParams.set("state", own.searchParams.get("state"));
  assert.equal(problem((await ada.ask(forged.href)).next), "sign_in_refused");
  assert.equal(ada.cookie(lakh, SESSION), undefined);
});

test("a callback counts once, in the browser that began, with its state", async (t) => {
  const { lakh, provider } = await both(t);
  const ada = new Walker();
  const back = await ada.through(provider.issuer, await ada.begin(lakh), "ada");

  // Another browser: nobody is signed in by a link (login CSRF).
  const victim = new Walker();
  assert.equal(problem((await victim.ask(back)).next), "sign_in_expired");
  // Not even one that has begun a sign-in of its own.
  await victim.begin(lakh);
  assert.equal(problem((await victim.ask(back)).next), "state_mismatch");
  assert.equal(victim.cookie(lakh, SESSION), undefined);

  const bent = new URL(back);
  bent.searchParams.set("state", `${bent.searchParams.get("state").slice(0, -1)}_`);
  assert.equal(problem((await ada.ask(bent.href)).next), "state_mismatch");
  bent.searchParams.delete("state");
  assert.equal(problem((await ada.ask(bent.href)).next), "state_mismatch");
  const mixed = new URL(back);
  const login = ada.cookie(lakh, LOGIN);

  // None of that used it up.
  assert.equal((await ada.ask(back)).next, `${lakh}/`);
  assert.equal(ada.cookie(lakh, LOGIN), undefined, "the cookie of the sign-in is gone");
  const session = ada.cookie(lakh, SESSION);
  // A second time, with the cookie put back.
  ada.jar(lakh).set(LOGIN, login);
  assert.equal(problem((await ada.ask(back)).next), "sign_in_expired");
  assert.equal(ada.cookie(lakh, SESSION), session, "who is signed in stays so");
  assert.equal(await ada.stats(lakh), 200);

  // The code by itself is used up at the provider as well.
  const again = new Walker();
  const state = new URL(await again.begin(lakh)).searchParams.get("state");
  mixed.searchParams.set("state", state);
  assert.equal(problem((await again.ask(mixed.href)).next), "sign_in_refused");
  // An answer that names another provider is none of ours.
  const other = new Walker();
  const their = new URL(await other.through(provider.issuer, await other.begin(lakh), "ada"));
  their.searchParams.set("iss", "https://evil.example");
  assert.equal(problem((await other.ask(their.href)).next), "provider_error");
});

test("each sign-in makes a new session and ends the one before; none is taken from outside", async (t) => {
  const { lakh, provider } = await both(t);
  const ada = new Walker();
  const planted = "ab".repeat(32);
  ada.jar(lakh).set(SESSION, planted);
  await ada.signIn(lakh, provider.issuer, "ada");
  const first = ada.cookie(lakh, SESSION);
  assert.match(first, /^[0-9a-f]{64}$/);
  assert.notEqual(first, planted);
  await ada.signIn(lakh, provider.issuer, "ada");
  const second = ada.cookie(lakh, SESSION);
  assert.notEqual(second, first);
  const old = new Walker();
  for (const gone of [planted, first]) {
    old.jar(lakh).set(SESSION, gone);
    assert.equal(await old.stats(lakh), 401);
  }
  old.jar(lakh).set(SESSION, second);
  assert.equal(await old.stats(lakh), 200);
});

test("a sign-in leads back into this page and nowhere else", async (t) => {
  const { lakh, provider } = await both(t);
  for (const away of ["https://evil.example", "//evil.example", "/\\evil.example", "/%09/evil.example", "/api/v1/stats"]) {
    const person = new Walker();
    const query = `?return_to=${away.includes("%") ? away : encodeURIComponent(away)}`;
    const done = await person.signIn(lakh, provider.issuer, "ada", query);
    assert.equal(done.next, `${lakh}/`, away);
  }
});

test("nothing that a link says makes a header, a cookie or a line of the log", async (t) => {
  const { lakh, server } = await both(t);
  const forged = "x\r\nSet-Cookie: lakh-session=planted\r\n\r\n2030-01-01T00:00:00Z  INFO signed in at the console id=root";
  const person = new Walker();
  const state = async () => new URL(await person.begin(lakh)).searchParams.get("state");
  for (const query of [
    `?return_to=${encodeURIComponent(`/${forged}`)}`,
    `?return_to=${encodeURIComponent(`/chat?x=${forged}`)}`,
    `?return_to=%0d%0aLocation:%20https://evil.example`,
  ]) {
    const { response, status } = await person.ask(`${lakh}/console/sign-in${query}`);
    assert.equal(status, 303);
    assert.ok(!response.headers.get("set-cookie").includes("planted"));
    assert.ok(!response.headers.get("location").includes("evil.example"));
  }
  for (const query of [
    { error: forged, state: await state() },
    { error: "access_denied", error_description: forged, state: await state() },
    { code: forged, state: await state() },
    { code: "x", state: forged },
    { code: "x", iss: forged, state: await state() },
  ]) {
    const { response, next, status } = await person.ask(`${lakh}/console/callback?${new URLSearchParams(query)}`);
    assert.equal(status, 303);
    assert.equal(new URL(next).origin, lakh);
    assert.ok(!(response.headers.get("set-cookie") ?? "").includes("planted"));
    assert.equal(person.cookie(lakh, SESSION), undefined);
  }
  for (const line of server.log().split("\n").filter(Boolean)) {
    const time = line.startsWith("{") ? JSON.parse(line).timestamp : line.split(" ")[0];
    assert.match(time, /^20\d\d-[\d-]+T[\d:.]+Z$/, line);
    assert.ok(!time.startsWith("2030"), line);
  }
});

test("a provider that is away is told at once, and asked again when it is back", async (t) => {
  const { lakh, provider, server } = await both(t);
  await provider.stop();
  const person = new Walker();
  assert.equal(problem(await person.begin(lakh)), "provider_unreachable");
  const { response, status } = await person.ask(`${lakh}/console/sign-in`, { headers: { accept: "application/json" } });
  assert.equal(status, 502);
  assert.equal((await response.json()).error.code, "provider_unreachable");
  // What it has written is read a moment later.
  while (!/could not be asked/.test(server.log())) await pause(20);

  const back = await startProvider(t, lakh, { port: provider.port });
  // It is left alone for two seconds after a failure; beginnings are bounded, so they are not asked for in haste.
  let begun = await person.begin(lakh);
  while (problem(begun) === "provider_unreachable") {
    await pause(250);
    begun = await person.begin(lakh);
  }
  assert.ok(begun.startsWith(back.issuer));
  // In the middle of a sign-in, it says so as well.
  const returning = await person.through(back.issuer, begun, "ada");
  await back.stop();
  assert.equal(problem((await person.ask(returning)).next), "provider_unreachable");
  assert.equal(person.cookie(lakh, SESSION), undefined);
});

test("a sign-out ends the session and leads to the provider's own", async (t) => {
  const { lakh, provider } = await both(t);
  const ada = new Walker();
  await ada.signIn(lakh, provider.issuer, "ada");
  const session = ada.cookie(lakh, SESSION);
  const { response, status } = await ada.post(lakh, "/api/v1/session/end");
  assert.equal(status, 200);
  const { redirect } = await response.json();
  const out = new URL(redirect);
  assert.equal(out.origin, provider.issuer);
  assert.equal(out.searchParams.get("post_logout_redirect_uri"), `${lakh}/sign-in`);
  assert.ok(out.searchParams.get("id_token_hint").split(".").length === 3);
  assert.equal(ada.cookie(lakh, SESSION), undefined);
  ada.jar(lakh).set(SESSION, session);
  assert.equal(await ada.stats(lakh), 401, "a copied cookie is worth nothing now");
});

test("another site can neither sign in, nor sign out, nor change anything with a session", async (t) => {
  const { lakh, provider } = await both(t, {}, localAdmin());
  const ada = new Walker();
  await ada.signIn(lakh, provider.issuer, "ada");
  const body = JSON.stringify({ user: "root", password: PASSWORD });
  for (const headers of [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: lakh, "sec-fetch-site": "cross-site" },
    { origin: provider.issuer, "sec-fetch-site": "same-site" },
    {},
  ]) {
    for (const path of ["/api/v1/session", "/api/v1/session/end", "/api/v1/stats"]) {
      const { response, status } = await ada.ask(`${lakh}${path}`, { method: "POST", headers, body });
      assert.equal(status, 403, `${path} ${JSON.stringify(headers)}`);
      assert.equal((await response.json()).error.code, "cross_site");
    }
  }
  assert.equal((await ada.who(lakh)).id, "oidc:ada", "still the same session");
  const read = await ada.ask(`${lakh}/api/v1/stats`, { headers: { origin: "https://evil.example" } });
  assert.equal(read.status, 403);
});

test("guessing a password is bounded, whatever is guessed", async (t) => {
  const lakh = await address();
  await startLakh(t, lakh, localAdmin());
  const guesser = new Walker();
  const codes = [];
  for (let round = 0; round < 12; round += 1) {
    const user = round % 2 ? "root" : "nobody";
    const { response, status } = await guesser.post(lakh, "/api/v1/session", { user, password: `guess ${round}` });
    codes.push(status);
    if (status === 429) assert.ok(Number(response.headers.get("retry-after")) > 0);
    assert.equal((await response.json()).error.code, status === 429 ? "too_many_attempts" : "bad_credentials");
  }
  assert.deepEqual(codes.slice(0, 10), Array(10).fill(401));
  assert.deepEqual(codes.slice(-1), [429]);
  const right = await guesser.post(lakh, "/api/v1/session", { user: "root", password: PASSWORD });
  assert.equal(right.status, 429, "not even the right one");
});

test("two nodes with one Redis know each other's sessions, and sign-ins that have begun", async (t) => {
  const redis = await startRedis(t);
  const [lakh, other] = [await address(), await address()];
  const provider = await startProvider(t, lakh);
  const env = (node) => ({ ...provider.settings, LAKH_REDIS: redis.url, LAKH_NODE: node });
  await startLakh(t, lakh, env("aaa1"));
  await startLakh(t, other, { ...env("bbb1"), LAKH_CONSOLE__PUBLIC_URL: lakh });
  const ada = new Walker();
  // Begun at one, taken up at the other, as balancers do it.
  const back = await ada.through(provider.issuer, await ada.begin(lakh), "ada");
  await ada.ask(back.replace(lakh, other));
  for (const node of [lakh, other]) {
    assert.equal(await ada.stats(node), 200);
    assert.equal((await ada.who(node)).id, "oidc:ada");
  }
  const session = ada.cookie(lakh, SESSION);
  const headers = { origin: lakh, "sec-fetch-site": "same-origin" };
  await ada.ask(`${other}/api/v1/session/end`, { method: "POST", headers });
  ada.jar(lakh).set(SESSION, session);
  for (const node of [lakh, other]) assert.equal(await ada.stats(node), 401);
});
