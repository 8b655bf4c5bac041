/**
 * The browser's storage, which may be full or forbidden: then values live as long as the page,
 * and nothing else changes.
 */

export interface Shelf {
  read(key: string): string | null;
  write(key: string, value: string | null): void;
}

export const localShelf: Shelf = shelf(() => globalThis.localStorage);
export const sessionShelf: Shelf = shelf(() => globalThis.sessionStorage);

function shelf(storage: () => Storage): Shelf {
  return {
    read(key) {
      try {
        return storage().getItem(key);
      } catch {
        return null;
      }
    },
    write(key, value) {
      try {
        if (value === null) storage().removeItem(key);
        else storage().setItem(key, value);
      } catch {
        // Full or forbidden: see above.
      }
    },
  };
}

/** A shelf that forgets with its owner. */
export function memoryShelf(): Shelf {
  const values = new Map<string, string>();
  return {
    read: (key) => values.get(key) ?? null,
    write: (key, value) => {
      if (value === null) values.delete(key);
      else values.set(key, value);
    },
  };
}
