// A world on plain Socket.IO rooms: space is cut into cells, each a room; who walks is in the rooms of the cells around,
// and is told of everybody in them. Moves are gathered and told once a tick, a message a cell. Not volatile: a socket takes
// one such message at a time, and those of a tick's other cells would be dropped.
import { createServer } from "node:http";
import { Server } from "socket.io";

import { measured } from "../world/ticks.js";

const [host, port] = (process.env.LISTEN ?? "127.0.0.1:3000").split(":");
const HZ = Number(process.env.HZ ?? 20);
// The nearest that are in no cell around are a cell away: as far as people see.
const CELL = Number(process.env.SIGHT ?? 40);

const ticks = measured();
const httpServer = createServer(ticks.answer);
const io = new Server(httpServer, { transports: ["websocket"], perMessageDeflate: false });

const cells = new Map(); // name → {room, people: Map of id → person, moved: Set of people}
let ids = 0;

const cellOf = (x, y) => `${Math.floor(x / CELL)},${Math.floor(y / CELL)}`;

function cellAt(name) {
  let cell = cells.get(name);
  if (!cell) {
    cell = { room: name, people: new Map(), moved: new Set() };
    cells.set(name, cell);
  }
  return cell;
}

function around(x, y) {
  const [left, top] = [Math.floor(x / CELL), Math.floor(y / CELL)];
  const names = [];
  for (let dx = -1; dx <= 1; dx += 1) {
    for (let dy = -1; dy <= 1; dy += 1) names.push(`${left + dx},${top + dy}`);
  }
  return names;
}

// id, x, y of each, one after the other, to a centimetre.
const told = (people) => {
  const numbers = [];
  for (const { id, x, y } of people) numbers.push(id, Math.round(x * 100) / 100, Math.round(y * 100) / 100);
  return numbers;
};

function look(socket, person) {
  const now = new Set(around(person.x, person.y));
  for (const name of person.sees) {
    if (now.has(name)) continue;
    socket.leave(name);
    const cell = cells.get(name);
    if (cell?.people.size) socket.emit("g", [...cell.people.keys()]);
  }
  for (const name of now) {
    if (person.sees.has(name)) continue;
    socket.join(name);
    const cell = cells.get(name);
    if (cell?.people.size) socket.emit("m", told(cell.people.values()));
  }
  person.sees = now;
}

function put(person) {
  const name = cellOf(person.x, person.y);
  if (person.cell?.room !== name) {
    const left = person.cell;
    person.cell = cellAt(name);
    person.cell.people.set(person.id, person);
    if (left) {
      left.people.delete(person.id);
      left.moved.delete(person);
      // Who sees both is told where they are with the next tick.
      io.to(left.room).except(name).emit("g", [person.id]);
      if (left.people.size === 0) cells.delete(left.room);
    }
  }
  person.cell.moved.add(person);
}

io.on("connection", (socket) => {
  let person;

  socket.on("enter", (x, y, ack) => {
    person = { id: (ids += 1), x, y, sees: new Set(), cell: undefined };
    put(person);
    look(socket, person);
    ack(person.id);
  });

  socket.on("move", (x, y) => {
    if (!person) return;
    const was = person.cell;
    person.x = x;
    person.y = y;
    put(person);
    if (person.cell !== was) look(socket, person);
  });

  socket.on("disconnect", () => {
    if (!person) return;
    person.cell.people.delete(person.id);
    person.cell.moved.delete(person);
    io.to(person.cell.room).emit("g", [person.id]);
  });
});

setInterval(
  () =>
    ticks.take(() => {
      for (const cell of cells.values()) {
        if (cell.moved.size === 0) continue;
        io.to(cell.room).emit("m", told(cell.moved));
        cell.moved.clear();
      }
    }),
  1000 / HZ,
);

httpServer.listen(Number(port), host, 4096);
