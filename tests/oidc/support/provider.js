// A real OpenID provider (npm `oidc-provider`), on `localhost`: another site than Lakh's 127.0.0.1, so that cookies meet
// what they meet in the world.

import { once } from "node:events";
import { createServer } from "node:http";
import { freePort } from "../../conformance/support/processes.js";

// Its advice is for those who would run it in earnest.
const quiet = new Set(["warn", "info"]);
const kept = Object.fromEntries([...quiet].map((name) => [name, console[name]]));
const silence = (on) => quiet.forEach((name) => (console[name] = on ? () => {} : kept[name]));

silence(true);
const { Provider } = await import("oidc-provider");
silence(false);

const CLIENT = { id: "lakh-console", secret: "a-secret-of-the-tests-0123456789abcdef" };

// Whoever signs in is who they say; what they may do depends on the name.
const ROLES = { ada: ["lakh-admin", "staff"], grace: ["staff"], eve: ["guest"] };

function account(_ctx, id) {
  const email = `${id}@example.org`;
  const claims = { sub: id, name: `${id[0].toUpperCase()}${id.slice(1)}`, email, email_verified: true };
  return { accountId: id, claims: () => ({ ...claims, roles: ROLES[id] ?? [], realm: { roles: ROLES[id] ?? [] } }) };
}

// `lakh` is the public address of the console. `inToken`: roles stand in the ID token, not only in the user info.
export async function startProvider(t, lakh, { inToken = true, port } = {}) {
  port ??= await freePort();
  const issuer = `http://localhost:${port}`;
  silence(true);
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [`${lakh}/console/callback`],
        post_logout_redirect_uris: [`${lakh}/sign-in`],
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
    ],
    claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"], roles: ["roles", "realm"] },
    scopes: ["openid", "profile", "email", "roles"],
    conformIdTokenClaims: !inToken,
    pkce: { required: () => true },
    findAccount: account,
    cookies: { keys: ["of the tests"] },
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  });
  silence(false);
  const failed = [];
  for (const event of ["authorization.error", "grant.error", "server_error"]) {
    provider.on(event, (_ctx, error) => failed.push(error.error_description ?? error.message));
  }
  const server = createServer(provider.callback());
  server.listen(port, "localhost");
  await once(server, "listening");
  const stop = async () => {
    if (!server.listening) return;
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  t.after(stop);
  return { issuer, port, failed, stop, settings: settings(issuer) };
}

function settings(issuer) {
  return {
    LAKH_CONSOLE__OIDC_ISSUER: issuer,
    LAKH_CONSOLE__OIDC_NAME: "Example",
    LAKH_CONSOLE__OIDC_CLIENT_ID: CLIENT.id,
    LAKH_CONSOLE__OIDC_CLIENT_SECRET: CLIENT.secret,
    LAKH_CONSOLE__OIDC_SCOPES: "profile,email,roles",
    LAKH_CONSOLE__ADMIN_ROLES: "lakh-admin",
    LAKH_CONSOLE__READER_ROLES: "staff",
  };
}
