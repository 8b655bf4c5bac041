import type { ComponentProps } from "react";
import styles from "./Hidden.module.css";

/** Read out, but not seen. */
export function Hidden(props: ComponentProps<"div">) {
  return <div className={styles.hidden} {...props} />;
}
