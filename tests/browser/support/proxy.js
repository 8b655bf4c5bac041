// A network that can be cut: plain TCP between the page and the server, on a port of its own that stays.

import { connect, createServer } from "node:net";

// Resolves to {url, cut(), mend()}. While it is cut, connections break off and new ones are refused at once.
export async function startProxy(t, server) {
  const target = new URL(server.url);
  const open = new Set();
  let whole = true;
  const proxy = createServer((near) => {
    if (!whole) return void near.destroy();
    const far = connect(Number(target.port), target.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((done) => proxy.listen(0, "127.0.0.1", done));
  const breakAll = () => open.forEach((socket) => socket.destroy());
  t.after(() => {
    breakAll();
    proxy.close();
  });
  return {
    url: `http://127.0.0.1:${proxy.address().port}`,
    cut() {
      whole = false;
      breakAll();
    },
    mend() {
      whole = true;
    },
  };
}
