import * as Dialog from "@radix-ui/react-dialog";
import clsx from "clsx";
import { useRef, type ReactNode } from "react";
import { rememberFocus } from "./focus.ts";
import styles from "./Modal.module.css";

interface ModalProps {
  open: boolean;
  /** Absent: the dialog can't be dismissed, only answered. */
  onClose?: () => void;
  title: string;
  description?: ReactNode;
  /** For lists of people or rooms. */
  wide?: boolean;
  children: ReactNode;
}

/**
 * A dialog. Its backdrop is an element of our own: Radix's locks the page's scrolling with a
 * style element made at run time, which the content policy forbids, and the shell never scrolls.
 */
export function Modal({ open, onClose, title, description, wide, children }: ModalProps) {
  const keep = (event: Event) => {
    if (!onClose) event.preventDefault();
  };
  const focus = useFocusBack();
  return (
    <Dialog.Root open={open} onOpenChange={(next) => next || onClose?.()}>
      <Dialog.Portal>
        <div className={styles.scrim} />
        <Dialog.Content
          className={clsx(styles.modal, wide && styles.wide)}
          {...focus}
          onEscapeKeyDown={keep}
          onPointerDownOutside={keep}
          // React lets events through to whatever has opened it, which may be a form or hear keys itself.
          onSubmit={(event) => event.stopPropagation()}
          onKeyDown={(event) => event.stopPropagation()}
          {...(description ? {} : { "aria-describedby": undefined })}
        >
          <Dialog.Title className={styles.title}>{title}</Dialog.Title>
          {description && (
            <Dialog.Description className={styles.description}>{description}</Dialog.Description>
          )}
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** For the content of a dialog that has no trigger of Radix's own. */
export function useFocusBack() {
  const giveBack = useRef<(() => void) | null>(null);
  return {
    onOpenAutoFocus: () => {
      giveBack.current = rememberFocus();
    },
    onCloseAutoFocus: (event: Event) => {
      event.preventDefault();
      giveBack.current?.();
    },
  };
}
