/** What a stranger pastes to be connected within a minute. */
import type { Mode } from "../api/client.ts";
import { DEFAULT_SOCKET_PATH } from "../app/server.ts";

export interface Snippet {
  id: string;
  name: string;
  install: string;
  code: string;
}

/** `path` is that of the Socket.IO endpoint; clients need to be told only another than the usual one. */
export function snippets(origin: string, mode: Mode, path: string): Snippet[] {
  const other = path === DEFAULT_SOCKET_PATH ? null : path;
  return [javascript(origin, mode, other), python(origin, mode, other)];
}

function javascript(origin: string, mode: Mode, path: string | null): Snippet {
  const auth = mode === "development" ? `{ name: "Ada" }` : `{ token: "…" }`;
  return {
    id: "js",
    name: "JavaScript",
    install: "npm install socket.io-client",
    code: `import { io } from "socket.io-client";

const socket = io("${origin}", { ${path ? `path: "${path}", ` : ""}auth: ${auth} });

socket.on("hello", (data, from) => console.log(data, from));

await socket.emitWithAck("room:join", { room: "lobby" });
await socket.emitWithAck("room:emit", { room: "lobby", event: "hello", data: "world" });
`,
  };
}

function python(origin: string, mode: Mode, path: string | null): Snippet {
  const auth = mode === "development" ? `{"name": "Ada"}` : `{"token": "…"}`;
  return {
    id: "python",
    name: "Python",
    install: `pip install "python-socketio[client]"`,
    code: `import socketio

client = socketio.Client()

@client.on("hello")
def hello(data, origin, *_):
    print(data, origin)

client.connect("${origin}", ${path ? `socketio_path="${path}", ` : ""}auth=${auth})
client.call("room:join", {"room": "lobby"})
client.call("room:emit", {"room": "lobby", "event": "hello", "data": "world"})
client.wait()
`,
  };
}
