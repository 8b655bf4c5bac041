import react from "@vitejs/plugin-react";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the page itself and leaves the rest to a Lakh server beside it.
const server = process.env.LAKH_URL ?? "http://127.0.0.1:3000";

/** Puts socket.io-client at /client.js, so that the examples of the docs run in any page's console without a network. */
function socketIoClient(): Plugin {
  const source = () => {
    // The file itself is not among the package's exports.
    const path = new URL(
      "dist/socket.io.esm.min.js",
      import.meta.resolve("socket.io-client/package.json"),
    );
    // The map is not served with it.
    return readFileSync(path, "utf8").replace(/^\/\/# sourceMappingURL=.*$/m, "");
  };
  return {
    name: "socket-io-client",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "client.js", source: source() });
    },
    configureServer(server) {
      server.middlewares.use("/client.js", (_request, response) => {
        response.setHeader("content-type", "text/javascript; charset=utf-8");
        response.end(source());
      });
    },
  };
}

export default defineConfig({
  plugins: [react(), socketIoClient()],
  resolve: {
    alias: {
      // The sources, so that a change in the client shows without a build of its own.
      "lakh-client": fileURLToPath(new URL("./lakh-client/src/index.ts", import.meta.url)),
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
