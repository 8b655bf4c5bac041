import * as Dialog from "@radix-ui/react-dialog";
import type { ChatAttachment } from "lakh-client";
import { ChevronLeft, ChevronRight, Download, X } from "lucide-react";
import type { KeyboardEvent } from "react";
import { useStore } from "../app/store.ts";
import { useFocusBack } from "../ui/Modal.tsx";
import styles from "./Files.module.css";
import { useBackCloses } from "./useBackCloses.ts";
import { addressOf, fileAccess } from "./model/files.ts";

interface ViewerProps {
  files: readonly ChatAttachment[];
  at: number;
  onMove: (at: number) => void;
  onClose: () => void;
}

// Buttons without tooltips: one would open with the dialog's focus, and take the first Escape.

/** Pictures as large as the window. Arrow keys go through them, Escape closes. */
export function Viewer({ files, at, onMove, onClose }: ViewerProps) {
  const focus = useFocusBack();
  useBackCloses(true, onClose);
  const access = useStore(fileAccess.value);
  const file = files[at];
  if (!file) return null;
  const source = addressOf(file.url, access);
  const move = (by: number) => onMove((at + by + files.length) % files.length);
  const press = (event: KeyboardEvent) => {
    if (event.key === "ArrowRight") move(1);
    if (event.key === "ArrowLeft") move(-1);
  };
  return (
    <Dialog.Root open onOpenChange={(open) => open || onClose()}>
      <Dialog.Portal>
        <Dialog.Content
          className={styles.viewer}
          aria-describedby={undefined}
          onKeyDown={press}
          {...focus}
        >
          <header className={styles.viewerHead}>
            <Dialog.Title className={styles.viewerName}>{file.name}</Dialog.Title>
            {files.length > 1 && (
              <span className={styles.viewerCount}>
                {at + 1} of {files.length}
              </span>
            )}
            <a
              className={styles.viewerButton}
              href={source}
              download={file.name}
              aria-label={`Download ${file.name}`}
            >
              <Download size={20} aria-hidden />
            </a>
            <button
              type="button"
              aria-label="Close"
              className={styles.viewerButton}
              onClick={onClose}
            >
              <X size={22} aria-hidden />
            </button>
          </header>
          <div className={styles.viewerStage}>
            <img className={styles.viewerPicture} src={source} alt={file.name} />
            {files.length > 1 && (
              <>
                <button
                  type="button"
                  aria-label="Previous picture"
                  className={styles.viewerPrevious}
                  onClick={() => move(-1)}
                >
                  <ChevronLeft size={26} aria-hidden />
                </button>
                <button
                  type="button"
                  aria-label="Next picture"
                  className={styles.viewerNext}
                  onClick={() => move(1)}
                >
                  <ChevronRight size={26} aria-hidden />
                </button>
              </>
            )}
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
