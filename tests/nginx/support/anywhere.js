// A balancer that sends each request to any node, whatever session it is for: no cookie, no hash, no look at the id.
// It keeps a record of the answers, and says nothing to the nodes of whom it speaks for.

import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import { connect as dial } from "node:net";

export async function startAnywhere(t, ports) {
  const agent = new Agent({ keepAlive: true });
  const answers = [];
  const open = new Set();
  const any = () => ports[Math.floor(Math.random() * ports.length)];
  const note = (method, url, status) => {
    const sid = new URL(url, "http://x").searchParams.get("sid");
    answers.push({ method, sid, status });
  };

  const server = createServer((asked, answer) => {
    const { method, url, headers } = asked;
    const passed = request({ agent, host: "127.0.0.1", port: any(), method, path: url, headers });
    passed.on("response", (response) => {
      note(method, url, response.statusCode);
      answer.writeHead(response.statusCode, response.headers);
      response.pipe(answer);
      response.on("error", () => answer.destroy());
    });
    passed.on("error", () => {
      // The client went away, or the node did.
      if (!answer.destroyed) note(method, url, 502);
      if (answer.headersSent) answer.destroy();
      else answer.writeHead(502).end();
    });
    answer.on("close", () => passed.destroy());
    asked.pipe(passed);
  });
  server.on("upgrade", (asked, client, early) => {
    const node = dial(any(), "127.0.0.1");
    const lines = asked.rawHeaders.reduce((text, word, at) => text + word + (at % 2 ? "\r\n" : ": "), "");
    node.write(`${asked.method} ${asked.url} HTTP/1.1\r\n${lines}\r\n`);
    node.write(early);
    node.once("data", (head) => note("UPGRADE", asked.url, Number(String(head.subarray(9, 12)))));
    for (const [from, to] of [[client, node], [node, client]]) {
      open.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => open.delete(from));
    }
  });
  server.keepAliveTimeout = 70_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
    open.forEach((socket) => socket.destroy());
    agent.destroy();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    ports,
    // Answers to requests that had a session already.
    followUps: () => answers.filter(({ sid }) => sid),
  };
}
