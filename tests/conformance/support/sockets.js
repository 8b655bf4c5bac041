// Small helpers around sockets, whoever opened them: await an event, call with an acknowledgement.
//
// Every wait has a generous bound, so that a hang becomes a failure that names what was awaited. No stock client is
// imported here: other folders of tests bring their own.

import assert from "node:assert/strict";

export const BOUND_MS = 30_000;

export function within(promise, what, bound = BOUND_MS) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${bound} ms for ${what}`)), bound);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Looks again and again until there is something, and gives that. The breath is for the servers, which share the machine.
export async function until(what, look) {
  const end = Date.now() + BOUND_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${BOUND_MS} ms for ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

// The arguments of the next `event`.
export function next(emitter, event) {
  return within(
    new Promise((done) => emitter.once(event, (...args) => done(args))),
    `the event "${event}"`,
  );
}

// The first argument of the next `event`.
export async function first(emitter, event) {
  return (await next(emitter, event))[0];
}

// The first argument of the next `event` whose first argument is as wanted.
export function fitting(emitter, event, wanted) {
  return within(
    new Promise((done) => {
      const listen = (value) => {
        if (!wanted(value)) return;
        emitter.off(event, listen);
        done(value);
      };
      emitter.on(event, listen);
    }),
    `a fitting "${event}"`,
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

// Cuts the connection below Socket.IO, as a lost network does; no farewell is sent.
export function cut(socket) {
  const { transport } = socket.io.engine;
  if (transport.name === "websocket") transport.ws._socket.destroy();
  else socket.io.engine.close();
}
