// Each kind of token, good and bad, as a stock client shows it: what the library of another maker signed is taken by its own
// key and by nothing else.

import assert from "node:assert/strict";
import { constants, createHmac, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect, next, open, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

const [ISSUER, AUDIENCE] = ["https://id.example", "lakh"];
const SECRETS = { HS256: "a".repeat(32), HS384: "b".repeat(48), HS512: "c".repeat(64) };
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const PAIRS = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ES384: generateKeyPairSync("ec", { namedCurve: "P-384" }),
  EdDSA: generateKeyPairSync("ed25519"),
};

const now = () => Math.floor(Date.now() / 1000);
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function made(header, claims, signer) {
  const all = { sub: "ada", iss: ISSUER, aud: AUDIENCE, exp: now() + 60, ...claims };
  const message = `${part({ typ: "JWT", ...header })}.${part(all)}`;
  return `${message}.${signer(message).toString("base64url")}`;
}

const hmac = (alg, secret) => (message) => createHmac(`sha${alg.slice(2)}`, secret).update(message).digest();
function byKey(alg, key) {
  const hash = alg === "EdDSA" ? null : `sha${alg.slice(2)}`;
  const options = {
    P: { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
    E: alg === "EdDSA" ? key : { key, dsaEncoding: "ieee-p1363" },
    R: key,
  }[alg[0]];
  return (message) => sign(hash, Buffer.from(message), options);
}
const signerOf = (alg) => (SECRETS[alg] ? hmac(alg, SECRETS[alg]) : byKey(alg, PAIRS[alg].privateKey));
const token = (alg, claims = {}, header = {}) => made({ alg, ...header }, claims, signerOf(alg));
const pem = ({ publicKey }) => publicKey.export({ type: "spki", format: "pem" });

let server;
const folder = mkdtempSync(join(tmpdir(), "lakh-tokens-"));
before(async () => {
  const keys = Object.entries(SECRETS).map(([algorithm, secret]) => `{ algorithm = "${algorithm}", secret = "${secret}" }`);
  for (const [algorithm, pair] of Object.entries(PAIRS)) {
    const file = join(folder, `${algorithm}.pem`);
    writeFileSync(file, pem(pair));
    keys.push(`{ algorithm = "${algorithm}", file = "${file}", id = "${algorithm}" }`);
  }
  server = await startLakh({
    env: { LAKH_AUTH__KEYS: `[${keys.join(", ")}]`, LAKH_AUTH__ISSUER: ISSUER, LAKH_AUTH__AUDIENCE: AUDIENCE },
  });
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function refused(t, url, shown) {
  const [error] = await next(open(t, url, { transports: ["websocket"], reconnection: false, auth: { token: shown } }), "connect_error");
  return [error.message, error.data?.code];
}

test("a good token of each algorithm signs in, with and without the id of its key", async (t) => {
  for (const alg of [...Object.keys(SECRETS), ...Object.keys(PAIRS)]) {
    for (const header of PAIRS[alg] ? [{}, { kid: alg }] : [{}]) {
      const socket = await connect(t, server.url, { transports: ["websocket"], auth: { token: token(alg, {}, header) } });
      assert.ok(socket.id, alg);
      socket.disconnect();
    }
  }
});

test("each algorithm: ended, early, for another audience, of another issuer, changed, cut, and by another key", async (t) => {
  const others = { ...SECRETS, ...PAIRS };
  for (const alg of Object.keys(others)) {
    const good = token(alg);
    const [head, claims, signature] = good.split(".");
    const other = SECRETS[alg]
      ? hmac(alg, `${SECRETS[alg].slice(1)}x`)
      : byKey(alg, generateKeyPairSync(...kindOf(alg)).privateKey);
    for (const [what, shown, expected] of [
      ["ended", token(alg, { exp: now() - 60 }), "The token has expired"],
      ["early", token(alg, { nbf: now() + 60 }), "The token is not valid yet"],
      ["another audience", token(alg, { aud: "others" })],
      ["no audience", token(alg, { aud: undefined })],
      ["another issuer", token(alg, { iss: "https://evil.example" })],
      ["no end", token(alg, { exp: undefined })],
      ["other claims", `${head}.${part({ sub: "root", iss: ISSUER, aud: AUDIENCE, exp: now() + 60, admin: true })}.${signature}`],
      ["no signature", `${head}.${claims}.`],
      ["another key", made({ alg }, {}, other)],
    ]) {
      const answer = await refused(t, server.url, shown);
      assert.deepEqual(answer, [expected ?? "The token is not valid", "unauthorized"], `${alg}: ${what}`);
    }
  }
});

function kindOf(alg) {
  if (alg === "EdDSA") return ["ed25519"];
  return alg[0] === "E" ? ["ec", { namedCurve: alg === "ES256" ? "P-256" : "P-384" }] : ["rsa", { modulusLength: 2048 }];
}

test("no algorithm is taken for another, no header brings its own key, and nobody is asked for one", async (t) => {
  const asked = [];
  const theirs = createServer((request, response) => {
    asked.push(request.url);
    response.end(JSON.stringify({ keys: [{ ...PAIRS.EdDSA.publicKey.export({ format: "jwk" }), kid: "x" }] }));
  }).listen(0, "127.0.0.1");
  await once(theirs, "listening");
  t.after(() => theirs.close());
  const url = `http://127.0.0.1:${theirs.address().port}/keys`;
  const stranger = generateKeyPairSync("ed25519");
  const jwk = stranger.publicKey.export({ format: "jwk" });
  const der = rsa.publicKey.export({ type: "spki", format: "der" });
  const forged = {
    none: made({ alg: "none" }, {}, () => Buffer.alloc(0)),
    None: made({ alg: "None" }, {}, () => Buffer.alloc(0)),
    "none with a signature": made({ alg: "none" }, {}, hmac("HS256", SECRETS.HS256)),
    "the public key's PEM as a secret": made({ alg: "HS256" }, {}, hmac("HS256", pem(rsa))),
    "the same under its id": made({ alg: "HS256", kid: "RS256" }, {}, hmac("HS256", pem(rsa))),
    "the same without its last line end": made({ alg: "HS256" }, {}, hmac("HS256", pem(rsa).trim())),
    "the public key's DER as a secret": made({ alg: "HS256", kid: "RS256" }, {}, hmac("HS256", der)),
    "the curve's public key as a secret": made({ alg: "HS512", kid: "ES256" }, {}, hmac("HS512", pem(PAIRS.ES256))),
    "PSS said, PKCS#1 done": made({ alg: "PS256" }, {}, byKey("RS256", rsa.privateKey)),
    "another hash said": made({ alg: "RS512" }, {}, byKey("RS256", rsa.privateKey)),
    "a secret of another algorithm": made({ alg: "HS384" }, {}, hmac("HS384", SECRETS.HS256)),
    "an id of no key": token("RS256", {}, { kid: "unknown" }),
    "an id of another key": token("RS256", {}, { kid: "ES256" }),
    "an id with a path": token("RS256", {}, { kid: "../../etc/passwd" }),
    "its own key": made({ alg: "EdDSA", jwk }, {}, byKey("EdDSA", stranger.privateKey)),
    "its own key under a known id": made({ alg: "EdDSA", jwk, kid: "EdDSA" }, {}, byKey("EdDSA", stranger.privateKey)),
    "an address of keys": made({ alg: "EdDSA", jku: url, kid: "x" }, {}, byKey("EdDSA", stranger.privateKey)),
    "an address of a certificate": made({ alg: "RS256", x5u: url }, {}, byKey("EdDSA", stranger.privateKey)),
    "a certificate": made({ alg: "RS256", x5c: [der.toString("base64")] }, {}, byKey("EdDSA", stranger.privateKey)),
    "critical extensions": token("RS256", {}, { crit: ["exp"] }),
    "no token": "a.b",
    "lines in it": `${token("HS256")}\r\nX-Injected: 1`,
    "more than a token has": token("HS256", { filler: "x".repeat(9_000) }),
  };
  for (const [what, shown] of Object.entries(forged)) {
    assert.deepEqual(await refused(t, server.url, shown), ["The token is not valid", "unauthorized"], what);
  }
  assert.deepEqual(asked, [], "nobody went to an address that a token named");
});

test("a key that its provider has taken out counts no longer", async (t) => {
  const [one, two] = [generateKeyPairSync("ed25519"), generateKeyPairSync("ed25519")];
  const jwk = (pair, kid) => ({ ...pair.publicKey.export({ format: "jwk" }), kid, use: "sig" });
  let published = [jwk(one, "one"), jwk(two, "two")];
  const provider = createServer((_, response) => response.end(JSON.stringify({ keys: published }))).listen(0, "127.0.0.1");
  await once(provider, "listening");
  t.after(() => provider.close());
  const own = await startLakh({ env: { LAKH_AUTH__JWKS_URL: `http://127.0.0.1:${provider.address().port}/` } });
  t.after(() => own.stop());
  const of = (pair, kid) => made({ alg: "EdDSA", kid }, {}, byKey("EdDSA", pair.privateKey));
  const options = { transports: ["websocket"] };
  for (const shown of [of(one, "one"), of(two, "two")]) await connect(t, own.url, { ...options, auth: { token: shown } });

  // It's rotated out. A token of the key that is new makes the server look, which may take a few tries.
  const three = generateKeyPairSync("ed25519");
  published = [jwk(two, "two"), jwk(three, "three")];
  const newest = open(t, own.url, { ...options, auth: { token: of(three, "three") } });
  newest.on("connect_error", () => setTimeout(() => newest.connect(), 500));
  await within(new Promise((done) => newest.on("connect", done)), "a sign-in by the newest key");
  assert.deepEqual(await refused(t, own.url, of(one, "one")), ["The token is not valid", "unauthorized"]);
  await connect(t, own.url, { ...options, auth: { token: of(two, "two") } });
});
