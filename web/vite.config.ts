import react from "@vitejs/plugin-react";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "vite";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the page itself and leaves the rest to a Lakh server beside it.
const server = process.env.LAKH_URL ?? "http://127.0.0.1:3000";

/** The client's own builds, where Node's server has them: `<script src="/socket.io/socket.io.js">` is in every tutorial. */
const CLIENT_FILES: Record<string, string> = {
  "client.js": "socket.io.esm.min.js",
  "socket.io/socket.io.js": "socket.io.js",
  "socket.io/socket.io.min.js": "socket.io.min.js",
  "socket.io/socket.io.esm.min.js": "socket.io.esm.min.js",
  "socket.io/socket.io.msgpack.min.js": "socket.io.msgpack.min.js",
};

/** Serves socket.io-client beside the page; at /client.js, too, for the examples in the docs. */
function socketIoClient(): Plugin {
  const source = (file: string) => {
    // The files themselves are not among the package's exports.
    const path = new URL(`dist/${file}`, import.meta.resolve("socket.io-client/package.json"));
    // The maps are not served with them.
    return readFileSync(path, "utf8").replace(/^\/\/# sourceMappingURL=.*$/m, "");
  };
  return {
    name: "socket-io-client",
    generateBundle() {
      for (const [fileName, file] of Object.entries(CLIENT_FILES)) {
        this.emitFile({ type: "asset", fileName, source: source(file) });
      }
    },
    configureServer(server) {
      for (const [fileName, file] of Object.entries(CLIENT_FILES)) {
        server.middlewares.use(`/${fileName}`, (_request, response) => {
          response.setHeader("content-type", "text/javascript; charset=utf-8");
          response.end(source(file));
        });
      }
    },
  };
}

const CLIENT_SOURCE = fileURLToPath(new URL("./lakh-client/src/index.ts", import.meta.url));

/** lakh-client in one file at /lakh-client.js, for pages without a build step. */
function lakhClient(): Plugin {
  const bundle = async (minify: boolean) => {
    const built = await build({
      configFile: false,
      logLevel: "warn",
      // The page's own files do not belong beside it.
      publicDir: false,
      build: {
        write: false,
        minify,
        target: "es2022",
        lib: { entry: CLIENT_SOURCE, formats: ["es"], fileName: () => "lakh-client.js" },
      },
    });
    const [made] = [built].flat();
    if (!made || !("output" in made)) throw new Error("lakh-client was not bundled");
    return made.output[0].code;
  };
  return {
    name: "lakh-client",
    async generateBundle() {
      const source = await bundle(true);
      this.emitFile({ type: "asset", fileName: "lakh-client.js", source });
    },
    configureServer(server) {
      server.middlewares.use("/lakh-client.js", (_request, response, next) => {
        bundle(false).then((source) => {
          response.setHeader("content-type", "text/javascript; charset=utf-8");
          response.end(source);
        }, next);
      });
    },
  };
}

export default defineConfig({
  plugins: [react(), socketIoClient(), lakhClient()],
  resolve: {
    alias: {
      // The sources, so that a change in the client shows without a build of its own.
      "lakh-client": CLIENT_SOURCE,
    },
  },
  build: {
    // Browsers that know light-dark() and :has(): the styles stand on both.
    target: ["chrome123", "edge123", "firefox121", "safari17.5"],
    // A strict content policy forbids the data: URLs that small assets would become.
    assetsInlineLimit: 0,
  },
  server: {
    proxy: {
      "/socket.io": { target: server, ws: true },
      "/api": server,
      // Not its callback: the provider leads back to the server's own address.
      "/console": server,
      "/chat/files": server,
      "/chat/uploads": server,
      "/metrics": server,
      "/live": server,
      "/ready": server,
    },
  },
  test: {
    include: ["src/**/*.test.{ts,tsx}", "lakh-client/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
  },
});
