// Nodes of the real binary that are killed and come back: one with the store in a file, or several with Redis.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLakh, startRedis } from "../processes.js";

// No pace: how many ask for how much is the test's own business.
const SETTINGS = { LAKH_CHAT__MESSAGES_PER_SECOND: "100000", LAKH_DRAIN__WINDOW_MS: "200" };

// A port that no program of ours takes, so that it refuses.
const NOBODY = "http://127.0.0.1:1";

export class Site {
  static async start(count, { broker } = {}) {
    const site = new Site();
    site.folder = mkdtempSync(join(tmpdir(), "lakh-killed-"));
    site.broker = broker;
    site.kills = 0;
    if (count > 1) site.redis = await startRedis(["--appendonly", "yes"]);
    site.names = 0;
    site.nodes = Array.from({ length: count }, () => ({ name: site.name() }));
    await Promise.all(site.nodes.map((node) => site.bring(node)));
    return site;
  }

  name() {
    this.names += 1;
    return `n${String(this.names).padStart(2, "0")}`;
  }

  async bring(node) {
    // A node that is alone has its data where it had it; those of a fleet have nothing but Redis.
    const more = this.redis && this.broker ? ["--broker", this.broker] : [];
    const env = { ...SETTINGS, ...(this.redis && { LAKH_REDIS: this.redis.url }) };
    const process = await startLakh(node.name, { modules: ["chat"], folder: this.folder, env, more });
    Object.assign(node, { process, url: process.url });
  }

  // The address of one that is up. Where there is none nobody is called: the port of a killed node may be another program's.
  any(noise) {
    const up = this.nodes.filter((node) => !node.isDown);
    return up.length > 0 ? noise.of(up).url : NOBODY;
  }

  async kill(node) {
    node.isDown = true;
    this.kills += 1;
    await node.process.stop("SIGKILL");
  }

  // Under its old name a node of a fleet waits some seconds first: the killed one hasn't given the name back.
  async restart(node, isNew) {
    if (this.redis && isNew) node.name = this.name();
    await this.bring(node);
    node.isDown = false;
  }

  async stop() {
    await Promise.all(this.nodes.map((node) => node.process?.stop()));
    await this.redis?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
