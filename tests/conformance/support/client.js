// Small helpers around stock clients: connect, await an event, call with an acknowledgement.
//
// Every wait has a generous bound, so that a hang becomes a failure that names what was awaited.

import assert from "node:assert/strict";
import { io } from "socket.io-client";

export const BOUND_MS = 20_000;

// The three ways in which a stock client may reach the server.
export const TRANSPORTS = {
  "polling only": { transports: ["polling"], upgrade: false },
  "websocket only": { transports: ["websocket"] },
  "polling, then an upgrade": { transports: ["polling", "websocket"] },
};

export function within(promise, what, bound = BOUND_MS) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${bound} ms for ${what}`)), bound);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// The arguments of the next `event`.
export function next(emitter, event) {
  return within(
    new Promise((done) => emitter.once(event, (...args) => done(args))),
    `the event "${event}"`,
  );
}

// The first `count` occurrences of `event`, each as its list of arguments. Listen before you cause them.
export function collect(emitter, event, count) {
  const seen = [];
  return within(
    new Promise((done) => {
      const listen = (...args) => {
        seen.push(args);
        if (seen.length === count) {
          emitter.off(event, listen);
          done(seen);
        }
      };
      emitter.on(event, listen);
    }),
    `${count} × "${event}"`,
  ).catch((error) => {
    throw new Error(`${error.message}, saw ${seen.length}`);
  });
}

// A socket of a fresh manager that is not shared; it is closed when the test `t` ends.
export function open(t, url, options = {}) {
  const socket = io(url, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options });
  t.after(() => socket.disconnect());
  return socket;
}

// The same, connected. A refused connection is an error.
export async function connect(t, url, options = {}) {
  const socket = open(t, url, options);
  await connected(socket);
  return socket;
}

export function connected(socket) {
  return within(
    new Promise((done, fail) => {
      if (socket.connected) return done(socket);
      socket.once("connect", () => done(socket));
      socket.once("connect_error", (error) => fail(new Error(`connect_error: ${error.message}`)));
    }),
    "the connection",
  );
}

// Emits with an acknowledgement and resolves to the acknowledgement's first argument.
export function call(socket, event, ...args) {
  return within(
    new Promise((done) => socket.emit(event, ...args, done)),
    `the acknowledgement of "${event}"`,
  );
}

// The answer to a request of a module, which must be taken.
export async function ok(socket, event, request) {
  const answer = await call(socket, event, request);
  assert.equal(answer.ok, true, `${event} was answered ${JSON.stringify(answer)}`);
  return answer;
}

// The error that a request of a module gets, which must have this code.
export async function refused(socket, event, request, code) {
  const answer = await call(socket, event, request);
  assert.equal(answer.ok, false, `${event} was answered ${JSON.stringify(answer)}`);
  assert.equal(answer.error.code, code, answer.error.message);
  // For people: a sentence, or something like it.
  assert.match(answer.error.message, /\w+ \w+/);
  return answer.error;
}

// What the server sends to this socket before this returns has arrived: an event with an acknowledgement is
// answered after everything that was put on the socket's queue earlier.
export async function settled(socket) {
  await call(socket, "message-with-ack", "settled");
}

// Cuts the connection below Socket.IO, as a lost network does; no farewell is sent.
export function cut(socket) {
  const { transport } = socket.io.engine;
  if (transport.name === "websocket") transport.ws._socket.destroy();
  else socket.io.engine.close();
}
