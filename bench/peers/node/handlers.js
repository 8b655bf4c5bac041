// What the server does; the same for Node and Bun.

export function handle(io) {
  const ticked = new Set();
  let number = 0;

  io.on("connection", (socket) => {
    socket.on("join", (room, ack) => {
      socket.join(room);
      ack();
    });

    socket.on("pub", (room, payload) => {
      io.to(room).emit("m", payload);
    });

    socket.on("echo", (payload, ack) => {
      ack(payload);
    });

    socket.on("tick", (hz, bytes, ack) => {
      if (ticked.size === 0) {
        const timer = setInterval(() => {
          if (ticked.size === 0) return clearInterval(timer);
          const head = (number++).toString(16).padStart(8, "0");
          for (const receiver of ticked) {
            const own = receiver.id.repeat(Math.ceil(bytes / receiver.id.length));
            receiver.volatile.emit("t", head + own.slice(0, bytes - 8));
          }
        }, 1000 / hz);
      }
      ticked.add(socket);
      ack();
    });

    socket.on("disconnect", () => {
      ticked.delete(socket);
    });
  });
}
