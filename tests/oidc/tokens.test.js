// ID tokens that a provider never gives: each is refused, and nobody signed in.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { exportSPKI } from "jose";
import { challengeOf, CLIENT, idToken, startForger } from "./support/forger.js";
import { address, startLakh } from "./support/lakh.js";
import { Walker } from "./support/walker.js";

const SESSION = "lakh-session";
const now = () => Math.floor(Date.now() / 1000);
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

async function begin(t, env = {}) {
  const forger = await startForger(t);
  const lakh = await address();
  await startLakh(t, lakh, { ...forger.settings, ...env });
  return { forger, lakh };
}

// A sign-in whose token `make(nonce)` makes: where it leads to, and who is signed in then.
async function signIn(forger, lakh, make, more = {}) {
  const person = new Walker();
  const asked = new URL(await person.begin(lakh)).searchParams;
  forger.tokens = async () => ({
    access_token: "a",
    token_type: "Bearer",
    expires_in: 60,
    id_token: await make(asked.get("nonce")),
    ...more,
  });
  const callback = new URL(`${lakh}/console/callback`);
  callback.search = new URLSearchParams({ code: "c", state: asked.get("state") });
  const { next } = await person.ask(callback.href);
  return { problem: new URL(next).searchParams.get("problem"), session: person.cookie(lakh, SESSION), asked, person };
}

test("a good token signs in, and the code comes with the verifier of its challenge", async (t) => {
  const { forger, lakh } = await begin(t);
  const done = await signIn(forger, lakh, (nonce) => idToken(forger, { nonce }));
  assert.equal(done.problem, null);
  assert.ok(done.session);
  assert.equal((await done.person.who(lakh)).id, "oidc:mallory");
  const { body } = forger.asked.find(({ pathname }) => pathname === "/token");
  assert.equal(body.get("grant_type"), "authorization_code");
  assert.equal(body.get("redirect_uri"), `${lakh}/console/callback`);
  assert.equal(body.get("client_id"), CLIENT, "a public client says its name and no secret");
  assert.equal(challengeOf(body.get("code_verifier")), done.asked.get("code_challenge"));
});

test("a bad token signs nobody in", async (t) => {
  const { forger, lakh } = await begin(t);
  const stranger = await forger.made("one");
  const unsigned = (nonce) => {
    const claims = { iss: forger.issuer, aud: CLIENT, sub: "m", iat: now(), exp: now() + 60, nonce, roles: ["lakh-admin"] };
    return { head: (alg) => encoded({ alg, kid: forger.key.kid }), body: encoded(claims) };
  };
  const bad = {
    "another nonce": () => idToken(forger, { nonce: "other" }),
    "no nonce": () => idToken(forger, {}),
    "a token that has expired": (nonce) => idToken(forger, { nonce, exp: now() - 1, iat: now() - 300 }),
    "no end": (nonce) => idToken(forger, { nonce, exp: undefined }),
    "another audience": (nonce) => idToken(forger, { nonce, aud: "another-client" }),
    "one more audience": (nonce) => idToken(forger, { nonce, aud: [CLIENT, "another-client"] }),
    "no audience": (nonce) => idToken(forger, { nonce, aud: undefined }),
    "another issuer": (nonce) => idToken(forger, { nonce, iss: "https://evil.example" }),
    "no subject": (nonce) => idToken(forger, { nonce, sub: undefined }),
    "a key that is not the provider's": (nonce) => idToken(forger, { nonce }, { key: stranger }),
    "a key with an unknown name": (nonce) => idToken(forger, { nonce }, { key: stranger, header: { kid: "two" } }),
    "another access token": (nonce) => idToken(forger, { nonce, at_hash: "AAAAAAAAAAAAAAAAAAAAAA" }),
    "no signature": (nonce) => `${unsigned(nonce).head("none")}.${unsigned(nonce).body}.`,
    "the public key taken for a secret": async (nonce) => {
      const secret = await exportSPKI(forger.key.publicKey);
      const signed = `${unsigned(nonce).head("HS256")}.${unsigned(nonce).body}`;
      return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
    },
    "claims that were changed afterwards": async (nonce) => {
      const [head, , signature] = (await idToken(forger, { nonce, roles: [] })).split(".");
      return `${head}.${unsigned(nonce).body}.${signature}`;
    },
  };
  for (const [what, make] of Object.entries(bad)) {
    const done = await signIn(forger, lakh, make);
    assert.ok(["sign_in_refused", "provider_error"].includes(done.problem), `${what}: ${done.problem}`);
    assert.equal(done.session, undefined, what);
  }
  const missing = await signIn(forger, lakh, () => undefined);
  assert.equal(missing.problem, "sign_in_refused");
  const good = await signIn(forger, lakh, (nonce) => idToken(forger, { nonce }));
  assert.ok(good.session, "the forger itself is well");
});

test("a provider that has changed its keys is believed with the new one", async (t) => {
  const { forger, lakh } = await begin(t);
  assert.ok((await signIn(forger, lakh, (nonce) => idToken(forger, { nonce }))).session);
  await forger.rotate();
  // Keys are asked for again at most once a second.
  const again = () => signIn(forger, lakh, (nonce) => idToken(forger, { nonce }));
  let done = await again();
  while (done.problem === "sign_in_refused") {
    await pause(100);
    done = await again();
  }
  assert.ok(done.session);
});

test("user info of somebody else is not added to a token", async (t) => {
  const { forger, lakh } = await begin(t);
  const token = (nonce) => idToken(forger, { nonce, roles: undefined });
  forger.userInfo = { sub: "somebody-else", roles: ["lakh-admin"] };
  const wrong = await signIn(forger, lakh, token);
  assert.equal(wrong.problem, "provider_error");
  assert.equal(wrong.session, undefined);
  forger.userInfo = { sub: "mallory", roles: ["lakh-admin"], name: "Mallory" };
  const right = await signIn(forger, lakh, token);
  assert.deepEqual((await right.person.who(lakh)).roles, ["lakh-admin"]);
});

test("an address counts as a role only when the provider has verified it", async (t) => {
  const env = { LAKH_CONSOLE__ROLES_CLAIM: "email", LAKH_CONSOLE__ADMIN_ROLES: "ada@example.org" };
  const { forger, lakh } = await begin(t, env);
  const token = (verified) => (nonce) =>
    idToken(forger, { nonce, email: "ada@example.org", email_verified: verified });
  assert.equal((await signIn(forger, lakh, token(false))).problem, "no_role");
  assert.equal((await signIn(forger, lakh, token(undefined))).problem, "no_role");
  assert.ok((await signIn(forger, lakh, token(true))).session);
});
