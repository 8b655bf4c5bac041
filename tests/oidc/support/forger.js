// A provider whose tokens are whatever a test wants: for what a real one never says. It remembers what it was asked.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { freePort } from "../../conformance/support/processes.js";

export const CLIENT = "lakh-console";

export async function startForger(t) {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const made = async (kid) => ({ kid, ...(await generateKeyPair("ES256", { extractable: true })) });
  const forger = {
    issuer,
    key: await made("one"),
    asked: [],
    // What the endpoints answer: the token endpoint's body, and the user info's.
    tokens: null,
    userInfo: null,
    async rotate() {
      this.key = await made(`key-${Date.now()}`);
    },
    settings: {
      LAKH_CONSOLE__OIDC_ISSUER: issuer,
      LAKH_CONSOLE__OIDC_CLIENT_ID: CLIENT,
      LAKH_CONSOLE__ADMIN_ROLES: "lakh-admin",
    },
    made,
  };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { pathname } = new URL(request.url, issuer);
    forger.asked.push({ pathname, body: new URLSearchParams(body), headers: request.headers });
    const answer = await answerTo(forger, pathname);
    response.writeHead(answer ? 200 : 404, { "content-type": "application/json", ...answer?.headers });
    response.end(JSON.stringify(answer?.body ?? {}));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return forger;
}

async function answerTo(forger, pathname) {
  const { issuer } = forger;
  switch (pathname) {
    case "/.well-known/openid-configuration":
      return {
        body: {
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          userinfo_endpoint: `${issuer}/userinfo`,
          jwks_uri: `${issuer}/jwks`,
          response_types_supported: ["code"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: ["ES256"],
        },
      };
    case "/jwks": {
      const key = await exportJWK(forger.key.publicKey);
      return { body: { keys: [{ ...key, kid: forger.key.kid, alg: "ES256", use: "sig" }] } };
    }
    case "/token":
      return { body: await forger.tokens() };
    case "/userinfo":
      return forger.userInfo && { body: forger.userInfo };
    default:
      return null;
  }
}

// A good ID token, but for what a test changes.
export async function idToken(forger, claims, { key = forger.key, header = {} } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const good = { iss: forger.issuer, aud: CLIENT, sub: "mallory", iat: now, exp: now + 300, roles: ["lakh-admin"] };
  const all = Object.fromEntries(Object.entries({ ...good, ...claims }).filter(([, value]) => value !== undefined));
  return new SignJWT(all)
    .setProtectedHeader({ alg: "ES256", kid: forger.key.kid, ...header })
    .sign(key.privateKey);
}

export function challengeOf(verifier) {
  return createHash("sha256").update(verifier).digest("base64url");
}
