import { Fragment, useEffect } from "react";
import { isModded, MOD_SIGN, shortcuts } from "../app/keys.ts";
import { useStore } from "../app/store.ts";
import { Modal } from "../ui/Modal.tsx";
import styles from "./Shortcuts.module.css";

/** Keys pressed together are in one list, keys of which any will do in several. */
type Line = readonly [does: string, ...keys: readonly (readonly string[])[]];

const GROUPS: readonly (readonly [title: string, ...lines: readonly Line[]])[] = [
  [
    "Anywhere",
    ["Find a room", [MOD_SIGN, "K"]],
    ["Go through the rooms, and open one", ["↑"], ["↓"], ["Enter"]],
    ["Close what stands at the side, or on top", ["Esc"]],
    ["Show these keys", [MOD_SIGN, "/"]],
  ],
  [
    "Writing",
    ["Send", ["Enter"]],
    ["New line", ["Shift", "Enter"]],
    ["Edit your last message, with nothing written", ["↑"]],
    ["Leave a reply or an edit", ["Esc"]],
    ["Take the person that is marked, behind @", ["Tab"]],
  ],
  [
    "On a message",
    ["Go through the messages", ["↑"], ["↓"]],
    ["Reply", ["R"]],
    ["Open its thread", ["T"]],
    ["Edit, if it is yours", ["E"]],
  ],
];

/** All keys of the chat. */
export function Shortcuts() {
  const open = useStore(shortcuts);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (!isModded(event, "/")) return;
      // Another dialog has the page for itself.
      if (!shortcuts.get() && document.querySelector("[role=dialog]")) return;
      event.preventDefault();
      shortcuts.update((shown) => !shown);
    };
    window.addEventListener("keydown", press, { capture: true });
    return () => {
      window.removeEventListener("keydown", press, { capture: true });
      shortcuts.set(false);
    };
  }, []);
  return (
    <Modal open={open} onClose={() => shortcuts.set(false)} title="Keyboard shortcuts" wide>
      {GROUPS.map(([title, ...lines]) => (
        <section key={title} className={styles.group}>
          <h3 className={styles.title}>{title}</h3>
          <dl className={styles.lines}>
            {lines.map(([does, ...keys]) => (
              <div key={does} className={styles.line}>
                <dt>{does}</dt>
                <dd className={styles.keys}>
                  {keys.map((together) => (
                    <span key={together.join()} className={styles.together}>
                      {together.map((key, at) => (
                        <Fragment key={key}>
                          {at > 0 && <span aria-hidden>+</span>}
                          <kbd className={styles.key}>{key}</kbd>
                        </Fragment>
                      ))}
                    </span>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Modal>
  );
}
