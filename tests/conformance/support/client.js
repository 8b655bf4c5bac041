// Stock clients, and what is done with their sockets.

import { io } from "socket.io-client";
import { call, connected } from "./sockets.js";

export * from "./sockets.js";

// The three ways in which a stock client may reach the server.
export const TRANSPORTS = {
  "polling only": { transports: ["polling"], upgrade: false },
  "websocket only": { transports: ["websocket"] },
  "polling, then an upgrade": { transports: ["polling", "websocket"] },
};

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

// What the server sends to this socket before this returns has arrived: an event with an acknowledgement is
// answered after everything that was put on the socket's queue earlier.
export async function settled(socket) {
  await call(socket, "message-with-ack", "settled");
}
