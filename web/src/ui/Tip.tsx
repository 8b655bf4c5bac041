import * as Tooltip from "@radix-ui/react-tooltip";
import type { ReactElement } from "react";
import styles from "./Tip.module.css";

interface TipProps {
  text: string;
  side?: "top" | "right" | "bottom" | "left";
  children: ReactElement;
}

/** A tooltip. It repeats or adds to a label, and never carries what one must know. */
export function Tip({ text, side = "bottom", children }: TipProps) {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content className={styles.tip} side={side} sideOffset={6} collisionPadding={8}>
          {text}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
