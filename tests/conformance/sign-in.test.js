// Stock clients sign in with tokens that Node's own cryptography makes, over each transport, and do what they may.

import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { TRANSPORTS, connect, next, open, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

const SECRET = "0123456789abcdef0123456789abcdef";
const ISSUER = "https://id.example";
const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const curve = generateKeyPairSync("ec", { namedCurve: "P-256" });
const edwards = generateKeyPairSync("ed25519");

const now = () => Math.floor(Date.now() / 1000);
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function jwt(header, claims, signer) {
  const message = `${part(header)}.${part({ sub: "ada", name: "Ada", iss: ISSUER, exp: now() + 60, ...claims })}`;
  return `${message}.${signer(message).toString("base64url")}`;
}

const hmac = (key, hash = "sha256") => (message) => createHmac(hash, key).update(message).digest();
const hs256 = (claims) => jwt({ alg: "HS256" }, claims, hmac(SECRET));
const byRsa = (message) => sign("sha256", Buffer.from(message), pair.privateKey);
const byCurve = (message) => sign("sha256", Buffer.from(message), { key: curve.privateKey, dsaEncoding: "ieee-p1363" });
const byEdwards = (message) => sign(null, Buffer.from(message), edwards.privateKey);

let published = [];
let provider;
let server;

before(async () => {
  const jwk = (key, kid, alg) => ({ ...key.publicKey.export({ format: "jwk" }), kid, alg, use: "sig" });
  published = [jwk(pair, "r", "RS256"), jwk(curve, "e", "ES256")];
  provider = createServer((_, response) => response.end(JSON.stringify({ keys: published }))).listen(0, "127.0.0.1");
  await once(provider, "listening");
  server = await startLakh({
    env: {
      LAKH_AUTH_SECRET: SECRET,
      LAKH_AUTH__JWKS_URL: `http://127.0.0.1:${provider.address().port}/keys`,
      LAKH_AUTH__ISSUER: ISSUER,
      LAKH_AUTH__COOKIE: "sign-in",
      LAKH_AUTH__RULES: `[
        { who = "role:editor", allow = "rooms:emit:board:*" },
        { who = "signed-in", allow = "rooms:join:board:*" },
      ]`,
    },
  });
});
after(async () => {
  await server.stop();
  provider.close();
});

const join = (socket, room = "board:1") => socket.timeout(5_000).emitWithAck("room:join", { room });
const refused = (t, options) => next(open(t, server.url, options), "connect_error");

for (const [name, transport] of Object.entries(TRANSPORTS)) {
  test(`${name}: a token may come in auth, in the header or in a cookie`, async (t) => {
    const token = hs256({});
    for (const shown of [
      { auth: { token } },
      { auth: (give) => give({ token }) },
      { extraHeaders: { Authorization: `Bearer ${token}` } },
      { extraHeaders: { Cookie: `other=1; sign-in=${token}` } },
    ]) {
      const socket = await connect(t, server.url, { ...transport, ...shown });
      assert.equal((await join(socket)).ok, true);
      const answer = await socket.emitWithAck("room:emit", { room: "board:1", event: "draw", data: 1 });
      assert.equal(answer.error.code, "forbidden");
      assert.equal((await join(socket, "elsewhere")).error.code, "forbidden");
    }
    const [error] = await refused(t, transport);
    assert.deepEqual([error.message, error.data], ["Sign-in needed", { code: "unauthorized" }]);
  });
}

test("each kind of token that its own key has signed is taken", async (t) => {
  for (const token of [
    jwt({ alg: "RS256", kid: "r" }, { roles: ["editor"] }, byRsa),
    jwt({ alg: "ES256", kid: "e" }, { roles: ["editor"] }, byCurve),
    jwt({ alg: "RS256" }, { roles: ["editor"] }, byRsa),
    hs256({ roles: "reader editor" }),
    hs256({ grants: ["rooms:emit:board:1"] }),
  ]) {
    const socket = await connect(t, server.url, { auth: { token } });
    await join(socket);
    const answer = await socket.emitWithAck("room:emit", { room: "board:1", event: "draw", data: 1 });
    assert.equal(answer.ok, true, JSON.stringify(answer));
  }
});

test("what should be refused is refused, and the client may try again with another", async (t) => {
  const pem = pair.publicKey.export({ type: "spki", format: "pem" });
  const bad = {
    none: jwt({ alg: "none" }, {}, () => Buffer.alloc(0)),
    "the public key as a secret": jwt({ alg: "HS256", kid: "r" }, {}, hmac(pem)),
    "another hash": jwt({ alg: "HS512" }, {}, hmac(SECRET, "sha512")),
    "a key of its own": jwt({ alg: "EdDSA", jwk: edwards.publicKey.export({ format: "jwk" }) }, {}, byEdwards),
    "another issuer": hs256({ iss: "https://evil.example" }),
    "no end": hs256({ exp: undefined }),
    oversized: hs256({ filler: "x".repeat(9_000) }),
  };
  for (const [what, token] of Object.entries(bad)) {
    const [error] = await refused(t, { auth: { token } });
    assert.equal(error.message, "The token is not valid", what);
  }
  const [late] = await refused(t, { auth: { token: hs256({ exp: now() - 60 }) } });
  assert.equal(late.message, "The token has expired");
  const [early] = await refused(t, { auth: { token: hs256({ nbf: now() + 120 }) } });
  assert.equal(early.message, "The token is not valid yet");

  const socket = open(t, server.url, { auth: { token: bad.none } });
  await next(socket, "connect_error");
  socket.auth = { token: hs256({}) };
  socket.connect();
  await next(socket, "connect");
});

test("a key that the provider has from now on is found by the token that names it", async (t) => {
  const token = jwt({ alg: "EdDSA", kid: "d" }, {}, byEdwards);
  published = [...published, { ...edwards.publicKey.export({ format: "jwk" }), kid: "d" }];
  // Unknown keys are asked for every few seconds at most, so it may take more than one try, as it does in life.
  const socket = open(t, server.url, { auth: { token } });
  socket.on("connect_error", () => setTimeout(() => socket.connect(), 500));
  await within(new Promise((done) => socket.on("connect", done)), "a sign-in by the new key");
  assert.equal((await join(socket)).ok, true);
});
