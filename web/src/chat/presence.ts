/**
 * Whether one is there, as others see it: away while one says so, while the page is hidden for a
 * while, and while nobody has touched it for longer. The server forgets it with the connection,
 * so it is said again at each arrival.
 */
import { LakhError, type ChatClient } from "lakh-client";
import { Store } from "../app/store.ts";
import type { Memory } from "./memory.ts";

const HIDDEN_MS = 30_000;
const IDLE_MS = 5 * 60_000;

export interface Own {
  /** Said by oneself, and kept until one says otherwise. */
  readonly chosen: boolean;
  /** What others see of this device. */
  readonly away: boolean;
}

export class OwnStatus {
  readonly state: Store<Own>;
  readonly #chat: ChatClient;
  readonly #memory: Memory;
  readonly #stops: (() => void)[] = [];
  #absent = false;
  #hidden = false;
  #said = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(chat: ChatClient, memory: Memory) {
    this.#chat = chat;
    this.#memory = memory;
    const chosen = memory.away();
    this.state = new Store<Own>({ chosen, away: chosen });
    this.#stops.push(
      chat.onState((state) => {
        if (state.status !== "connected") return;
        // A device that connects is online; one that was recovered is as it was.
        if (!state.recovered) this.#said = false;
        this.#tell();
      }),
    );
    this.#wait();
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const stop of this.#stops) stop();
  }

  choose(away: boolean): void {
    this.#memory.keepAway(away);
    this.#update({ chosen: away });
  }

  /** A key, a finger, a pointer: somebody is here. */
  touched(): void {
    if (this.#hidden) return;
    this.#absent = false;
    this.#wait();
    this.#update({});
  }

  shown(isShown: boolean): void {
    this.#hidden = !isShown;
    if (isShown) this.touched();
    else this.#wait();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#absent = true;
        this.#update({});
      },
      this.#hidden ? HIDDEN_MS : IDLE_MS,
    );
  }

  #update(change: { chosen?: boolean }): void {
    const { chosen = this.state.get().chosen } = change;
    const away = chosen || this.#absent;
    const before = this.state.get();
    if (before.chosen === chosen && before.away === away) return;
    this.state.set({ chosen, away });
    this.#tell();
  }

  #tell(): void {
    const { away } = this.state.get();
    if (away === this.#said || this.#chat.state.status !== "connected") return;
    this.#said = away;
    this.#chat.me.status({ status: away ? "away" : "online" }).catch((error: unknown) => {
      if (!(error instanceof LakhError)) throw error;
      // Lost with the connection, at whose return it is said again.
    });
  }
}
