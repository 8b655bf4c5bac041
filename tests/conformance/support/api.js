// The API for backends, as a backend uses it: keys, requests, signatures.

import { createHash, createHmac, randomBytes, randomUUID } from "node:crypto";
import { request as send } from "node:http";

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

// A key as `lakh key` makes one, and its entry in the settings.
export function newKey(grants, more = {}) {
  const id = randomBytes(8).toString("hex");
  const secret = randomBytes(32).toString("base64url");
  const signing = more.signing ? randomBytes(32).toString("hex") : undefined;
  const fields = [
    `id = "${id}"`,
    `hash = "sha256:${sha256(secret)}"`,
    `grants = [${grants.map((grant) => JSON.stringify(grant)).join(", ")}]`,
    ...(more.admin ? ["admin = true"] : []),
    ...(more.expires_at ? [`expires_at = ${more.expires_at}`] : []),
    ...(signing ? [`signing_secret = "${signing}"`] : []),
  ];
  return { id, key: `lakh_${id}_${secret}`, signing, entry: `{ ${fields.join(", ")} }` };
}

export const keysSetting = (keys) => `[${keys.map(({ entry }) => entry).join(", ")}]`;

// One request; the path is sent as it stands. Resolves to {status, headers, body, text}.
export function ask(url, method, path, { key, body, headers = {}, raw } = {}) {
  const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const all = {
    ...(key ? { authorization: `Bearer ${key.key ?? key}` } : {}),
    ...(text === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
    ...headers,
  };
  for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name];
  return new Promise((done, fail) => {
    const request = send(url + path, { method, headers: all, agent: false }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", fail);
      response.on("end", () => {
        const answer = Buffer.concat(parts).toString();
        const json = /json/.test(response.headers["content-type"] ?? "") && answer;
        done({
          status: response.statusCode,
          headers: response.headers,
          text: answer,
          body: json ? JSON.parse(answer) : undefined,
        });
      });
    });
    request.on("error", fail);
    request.end(text);
  });
}

// The header of a signed request; `over` changes what is signed or said.
export function signature(key, method, path, text = "", over = {}) {
  const time = over.time ?? Math.floor(Date.now() / 1000);
  const nonce = over.nonce ?? randomUUID();
  const lines = ["lakh-hmac-sha256", key.id, time, nonce, method, path, sha256(text)].join("\n");
  const mac = createHmac("sha256", over.secret ?? key.signing).update(lines).digest("hex");
  return `Lakh-HMAC-SHA256 key=${over.key ?? key.id}, time=${time}, nonce=${nonce}, signature=${mac}`;
}
