import { useState } from "react";
import { touch } from "../app/keys.ts";
import { localShelf } from "../app/storage.ts";
import styles from "./View.module.css";
import { useWorld } from "./useWorld.ts";

const KEY = "lakh.world.walked";

/** How one walks, for whoever never has. Readers hear it from the canvas. */
export function Hint() {
  const [known, setKnown] = useState(() => localShelf.read(KEY) !== null);
  const isIn = useWorld(({ info }) => info !== null);
  const walks = useWorld(({ at }) => at?.walks === true);
  if (!known && walks) {
    localShelf.write(KEY, "1");
    setKnown(true);
  }
  if (known || !isIn) return null;
  return (
    <p className={styles.hint} aria-hidden>
      {touch.matches
        ? "Touch where you want to go"
        : "Walk with the arrow keys or W A S D, or click where you want to go"}
    </p>
  );
}
