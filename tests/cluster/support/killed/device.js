// A stock client of one person: it watches the person's rooms, asks what it missed, and repeats what was not answered.

import { setTimeout as pause } from "node:timers/promises";
import { io } from "socket.io-client";
import { View } from "./view.js";

// No answer for so long, on a connection that stands: asked again.
const ANSWER_MS = 20_000;
// What has overtaken something may wait so long for it, before it's asked for.
const HOLE_MS = 200;
const AGAIN_MS = 50;

export class Device {
  constructor(person, site, noise, facts) {
    Object.assign(this, { person, site, noise, facts, asking: new Set(), lost: 0, came: 0, recovered: 0 });
    this.views = new Map(person.rooms.map((room) => [room, new View(room, facts)]));
    this.socket = io(`${site.any(noise)}/chat`, {
      transports: noise.oneIn(5) ? ["polling", "websocket"] : ["websocket"],
      auth: { name: person.name },
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 200,
    });
    this.socket.io.on("reconnect_attempt", () => this.choose());
    this.socket.on("connect", () => this.connected());
    this.socket.on("connect_error", ({ message }) => this.refused(message));
    this.socket.on("disconnect", (reason) => this.disconnected(reason));
    for (const event of ["message:new", "message:changed", "room:changed", "member:changed"]) {
      this.socket.on(event, (argument) => this.hear(event, argument));
    }
    this.socket.on("scheduled:failed", ({ scheduled, error }) =>
      facts.wrong(`${person.name}'s ${scheduled.key} was not sent at its time: ${JSON.stringify(error)}`),
    );
  }

  connected() {
    this.came += 1;
    if (this.socket.recovered) this.recovered += 1;
    for (const view of this.views.values()) {
      if (!this.socket.recovered) view.isWhole = false;
      // A recovered connection may have been lost in the middle of an answer.
      if (!view.isWhole) this.catchUp(view, this.came);
      else if (view.hasHole) this.fillLater(view);
    }
  }

  disconnected(reason) {
    // A stock client does not come back by itself when the server has sent it away.
    if (reason === "io server disconnect") this.choose().connect();
  }

  // Takes any node that is up for its next connection.
  choose() {
    this.socket.io.uri = this.site.any(this.noise);
    return this.socket;
  }

  // Nobody is refused here. What could not be connected is tried again by the client itself.
  refused(message) {
    if (!this.socket.active) this.facts.wrong(`${this.person.id} was refused: ${message}`);
  }

  hear(event, argument) {
    const view = this.views.get(argument.room);
    // A watched room is told from the answer to `room:watch` on; what comes before is a gift.
    if (!view) return;
    view.hear(event, argument);
    if (view.hasHole) this.fillLater(view);
  }

  // First it listens, then it asks.
  async catchUp(view, came) {
    while (this.came === came && this.isHere && !view.isWhole) {
      const watched = await this.once("room:watch", { room: view.room });
      if (watched?.ok) await this.fill(view);
      if (!view.isWhole) await pause(AGAIN_MS);
    }
  }

  async fillLater(view) {
    if (view.waiting) return;
    view.waiting = true;
    await pause(HOLE_MS);
    view.waiting = false;
    if (view.hasHole && !view.syncing) await this.fill(view);
    if (view.hasHole && this.isHere) this.fillLater(view);
  }

  fill(view) {
    return view.sync((event, request) => this.once(event, request), 1 + this.noise.below(200));
  }

  // Asks once. `null`: there was no answer.
  async once(event, request) {
    if (!this.socket.connected) return null;
    const asked = { event, request, at: Date.now() };
    this.asking.add(asked);
    const answer = await this.socket
      .timeout(ANSWER_MS)
      .emitWithAck(event, request)
      .catch(() => null);
    this.asking.delete(asked);
    if (!answer) this.lost += 1;
    return answer;
  }

  get isHere() {
    return this.socket.connected;
  }

  // Asks until there is an answer, and says how often it was asked. `tries` may be fewer: then `answer` may be null.
  async ask(event, request, tries = Infinity) {
    let asked = 0;
    while (asked < tries && !this.ended) {
      if (!this.isHere) {
        await pause(AGAIN_MS);
        continue;
      }
      asked += 1;
      const answer = await this.once(event, request);
      if (answer?.ok || (answer && answer.error.code !== "unavailable")) return { answer, asked };
      if (answer) await pause(AGAIN_MS);
    }
    return { answer: null, asked };
  }

  // Goes away and comes back, if nothing waits for an answer.
  async leave() {
    if (this.asking.size > 0 || !this.isHere) return;
    this.socket.disconnect();
    await pause(this.noise.below(300));
    if (!this.ended) this.choose().connect();
  }

  end() {
    this.ended = true;
    this.socket.disconnect();
  }
}
