/** Events of an object of this client: by name, with their types. */

type Listeners<E> = { [K in keyof E]?: Set<E[K]> };

export class Emitter<E extends { [K in keyof E]: (...args: never[]) => void }> {
  readonly #listeners: Listeners<E> = {};

  /** Hears an event. The returned function stops it. */
  on<K extends keyof E>(event: K, listener: E[K]): () => void {
    const all = (this.#listeners[event] ??= new Set<E[K]>());
    all.add(listener);
    return () => {
      all.delete(listener);
    };
  }

  protected emit<K extends keyof E>(event: K, ...args: Parameters<E[K]>): void {
    const all = this.#listeners[event];
    if (!all) return;
    for (const listener of [...all]) (listener as (...args: Parameters<E[K]>) => void)(...args);
  }
}
