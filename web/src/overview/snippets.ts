/** What a stranger pastes to be connected within a minute. */
import type { Mode } from "../api/client.ts";

export interface Snippet {
  id: string;
  name: string;
  install: string;
  code: string;
}

export function snippets(origin: string, mode: Mode): Snippet[] {
  return [javascript(origin, mode), python(origin, mode)];
}

function javascript(origin: string, mode: Mode): Snippet {
  const auth = mode === "development" ? `{ name: "Ada" }` : `{ token: "…" }`;
  return {
    id: "js",
    name: "JavaScript",
    install: "npm install socket.io-client",
    code: `import { io } from "socket.io-client";

const socket = io("${origin}", { auth: ${auth} });

socket.on("hello", (data, from) => console.log(data, from));

await socket.emitWithAck("room:join", { room: "lobby" });
await socket.emitWithAck("room:emit", { room: "lobby", event: "hello", data: "world" });
`,
  };
}

function python(origin: string, mode: Mode): Snippet {
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

client.connect("${origin}", auth=${auth})
client.call("room:join", {"room": "lobby"})
client.call("room:emit", {"room": "lobby", "event": "hello", "data": "world"})
client.wait()
`,
  };
}
