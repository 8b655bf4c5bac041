import { X } from "lucide-react";
import { useEffect, useId, useRef, type ReactNode } from "react";
import { rememberFocus } from "../ui/focus.ts";
import { IconButton } from "../ui/IconButton.tsx";
import styles from "./SidePanel.module.css";

interface SidePanelProps {
  title: string;
  note?: ReactNode;
  onClose: () => void;
  children: ReactNode;
}

/** What stands beside the messages; over them where there is no room. Escape closes it. */
export function SidePanel({ title, note, onClose, children }: SidePanelProps) {
  const id = useId();
  const panel = useRef<HTMLElement>(null);

  useEffect(() => {
    const giveBack = rememberFocus();
    const field = panel.current?.querySelector<HTMLElement>("[data-first], textarea");
    (field ?? panel.current)?.focus({ preventScroll: true });
    return giveBack;
  }, []);

  return (
    // The keys are those of what is inside; here only Escape is heard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <aside
      ref={panel}
      className={styles.panel}
      aria-labelledby={id}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === "Escape" && !event.defaultPrevented) onClose();
      }}
    >
      <header className={styles.head}>
        <h2 id={id} className={styles.title}>
          {title}
        </h2>
        {note && <span className={styles.note}>{note}</span>}
        <IconButton label={`Close ${title.toLowerCase()}`} onClick={onClose}>
          <X size={20} aria-hidden />
        </IconButton>
      </header>
      {children}
    </aside>
  );
}
