import { useEffect, useId, useState, type ReactNode } from "react";
import styles from "./Slider.module.css";

interface SliderProps {
  label: string;
  icon?: ReactNode;
  value: number;
  min: number;
  max: number;
  step: number;
  /** How the value is written; as it is otherwise. */
  write?: (value: number) => string;
  onChoose: (value: number) => void;
}

/** What is dragged is said once it rests. */
const REST_MS = 180;

/** A number on a line. */
export function Slider({ label, icon, value, write, onChoose, ...range }: SliderProps) {
  const id = useId();
  const [dragged, setDragged] = useState<number | null>(null);
  const shown = dragged ?? value;

  useEffect(() => {
    if (dragged === null) return;
    const timer = setTimeout(() => {
      onChoose(dragged);
      setDragged(null);
    }, REST_MS);
    return () => clearTimeout(timer);
  }, [dragged, onChoose]);

  const text = write ? write(shown) : String(shown);
  return (
    <div className={styles.slider}>
      {icon}
      <label htmlFor={id} className={styles.label}>
        {label}
      </label>
      <input
        id={id}
        type="range"
        className={styles.range}
        value={shown}
        aria-valuetext={text}
        onChange={(event) => setDragged(Number(event.target.value))}
        {...range}
      />
      <output htmlFor={id} className={styles.value}>
        {text}
      </output>
    </div>
  );
}
