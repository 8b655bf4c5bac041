/** The real server as a process of its own, on a free port: what the client is for. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const repository = resolve(import.meta.dirname, "../../..");
const built = join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), "debug", "lakh");
const program = process.env.TEST_LAKH ?? built;
const START_BOUND_MS = 60_000;

/** Tests send faster than people do. */
const SETTINGS = { LAKH_CHAT__MESSAGES_PER_SECOND: "1000000" };

export class RealServer {
  readonly #folder = mkdtempSync(join(tmpdir(), "lakh-client-"));
  readonly #settings: Record<string, string>;
  readonly #module: string;
  #child: ChildProcess | undefined;
  #url = "";

  private constructor(settings: Record<string, string>, module: string) {
    this.#settings = settings;
    this.#module = module;
  }

  static async start(
    settings: Record<string, string> = {},
    module: "chat" | "world" = "chat",
  ): Promise<RealServer> {
    if (!existsSync(program)) {
      throw new Error(`${program} is missing: build it first with \`cargo build -p lakh-server\``);
    }
    const server = new RealServer(settings, module);
    await server.#run("127.0.0.1:0");
    return server;
  }

  get url(): string {
    return this.#url;
  }

  /** Killed in the middle of what it does, and started anew at the same place. */
  async restart(): Promise<void> {
    await this.#kill();
    await this.#run(new URL(this.#url).host);
  }

  async stop(): Promise<void> {
    await this.#kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.exitCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await ended;
  }

  #run(bind: string): Promise<void> {
    const args = ["serve", this.#module, "--bind", bind, "--data", this.#folder];
    const env = { ...process.env, ...SETTINGS, ...this.#settings };
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    // A test run that dies must not leave servers behind.
    process.once("exit", () => child.kill("SIGKILL"));
    return new Promise((done, fail) => {
      let log = "";
      const late = setTimeout(() => fail(new Error(`It did not listen:\n${log}`)), START_BOUND_MS);
      const read = (chunk: Buffer) => {
        log += chunk.toString();
        const found = /listening on (https?:\/\/[^\s"\\]+)/u.exec(log);
        if (!found?.[1]) return;
        clearTimeout(late);
        this.#url = found[1].replace(/\/$/u, "");
        done();
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.once("error", fail);
      child.once("exit", () => fail(new Error(`It ended before it listened:\n${log}`)));
    });
  }
}
