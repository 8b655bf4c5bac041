import { behaviours } from "./support/behaviours.js";

behaviours("redis-streams");
