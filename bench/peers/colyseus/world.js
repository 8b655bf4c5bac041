// A world on Colyseus: a room whose state is a map of players, of whom each client has those in its StateView: what is
// in sight is added, what is out of it (an eighth further, so that nobody flickers at the border) is removed.
import { createServer } from "node:http";

import { Room, Server } from "@colyseus/core";
import { StateView, schema, t } from "@colyseus/schema";
import { WebSocketTransport } from "@colyseus/ws-transport";

import { measured } from "../world/ticks.js";

const [host, port] = (process.env.LISTEN ?? "127.0.0.1:3000").split(":");
const HZ = Number(process.env.HZ ?? 20);
const SIGHT = Number(process.env.SIGHT ?? 40);
const KEPT = SIGHT * 1.125;
// Positions are told to 16 bits: a centimetre and a half in a kilometre.
const SIDE = 1024;

const ticks = measured();

const Player = schema(
  {
    x: t.quantized({ min: 0, max: SIDE, bits: 16 }),
    y: t.quantized({ min: 0, max: SIDE, bits: 16 }),
  },
  "Player",
);
const World = schema({ players: t.map(Player).view() }, "World");

class WorldRoom extends Room {
  maxClients = 10_000;
  // What changes is encoded with our own tick, behind who sees what.
  patchRate = null;
  seatReservationTimeout = 300;
  state = new World();
  // Where people are, by cells as wide as they see, so that nobody is compared with everybody.
  cells = new Map();

  messages = {
    move: (client, [x, y]) => {
      const { player } = client.userData;
      player.x = x;
      player.y = y;
      this.put(player, client.userData);
    },
  };

  onCreate() {
    this.setSimulationInterval(() => ticks.take(() => this.tick()), 1000 / HZ);
  }

  onJoin(client, { x, y }) {
    const player = new Player();
    player.x = x;
    player.y = y;
    client.view = new StateView();
    client.userData = { player, cell: undefined, seen: new Set() };
    this.state.players.set(client.sessionId, player);
    this.put(player, client.userData);
  }

  onLeave(client) {
    const { player, cell } = client.userData;
    this.cells.get(cell)?.delete(player);
    for (const { userData, view } of this.clients) {
      if (userData?.seen.delete(player)) view.remove(player);
    }
    this.state.players.delete(client.sessionId);
  }

  put(player, data) {
    const cell = Math.floor(player.x / SIGHT) * 4096 + Math.floor(player.y / SIGHT);
    if (cell === data.cell) return;
    this.cells.get(data.cell)?.delete(player);
    data.cell = cell;
    if (!this.cells.has(cell)) this.cells.set(cell, new Set());
    this.cells.get(cell).add(player);
  }

  look(client) {
    const { player, cell, seen } = client.userData;
    const off = (other) => Math.hypot(other.x - player.x, other.y - player.y);
    for (const other of seen) {
      if (off(other) <= KEPT) continue;
      client.view.remove(other);
      seen.delete(other);
    }
    for (let dx = -4096; dx <= 4096; dx += 4096) {
      for (let dy = -1; dy <= 1; dy += 1) {
        for (const other of this.cells.get(cell + dx + dy) ?? []) {
          if (seen.has(other) || off(other) > SIGHT) continue;
          client.view.add(other);
          seen.add(other);
        }
      }
    }
  }

  tick() {
    for (const client of this.clients) this.look(client);
    this.broadcastPatch();
  }
}

const httpServer = createServer();
const gameServer = new Server({ transport: new WebSocketTransport({ server: httpServer }), greet: false });
gameServer.define("world", WorldRoom);
const figures = createServer(ticks.answer);
figures.listen(Number(process.env.FIGURES ?? 0), host);
await gameServer.listen(Number(port), host, 4096);
