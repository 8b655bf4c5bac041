import { FileText, X } from "lucide-react";
import { useEffect, useRef } from "react";
import { formatBytes } from "../ui/format.ts";
import { IconButton } from "../ui/IconButton.tsx";
import styles from "./Composer.module.css";
import { isPicture } from "./model/files.ts";
import type { Upload } from "./attaching.ts";

interface UploadsProps {
  uploads: readonly Upload[];
  onRemove: (id: number) => void;
}

/** The files that the next message will carry. */
export function Uploads({ uploads, onRemove }: UploadsProps) {
  if (uploads.length === 0) return null;
  return (
    <ul className={styles.uploads} aria-label="Files">
      {uploads.map(({ id, file, progress, done, error }) => (
        <li key={id} className={styles.upload} data-failed={error === null ? undefined : ""}>
          {isPicture(file) ? <Preview file={file} /> : <FileText size={20} aria-hidden />}
          <span className={styles.uploadTexts}>
            <span className={styles.uploadName}>{file.name}</span>
            <span className={styles.uploadNote} role={error ? "alert" : undefined}>
              {error ?? formatBytes(file.size)}
            </span>
            {!done && error === null && (
              <progress
                className={styles.progress}
                value={progress}
                aria-label={`Upload of ${file.name}`}
              />
            )}
          </span>
          <IconButton
            label={`Remove ${file.name}`}
            className={styles.uploadRemove}
            onClick={() => onRemove(id)}
          >
            <X size={15} aria-hidden />
          </IconButton>
        </li>
      ))}
    </ul>
  );
}

const SIDE = 40;

/** On a canvas: the content policy lets no address into a picture that a page made up. */
function Preview({ file }: { file: File }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    let gone = false;
    createImageBitmap(file)
      .then((picture) => {
        const context = gone ? null : canvas.current?.getContext("2d");
        const side = Math.min(picture.width, picture.height);
        const left = (picture.width - side) / 2;
        const top = (picture.height - side) / 2;
        context?.drawImage(picture, left, top, side, side, 0, 0, SIDE * 2, SIDE * 2);
        picture.close();
      })
      .catch(() => {
        // Not a picture after all: the server will say what it is.
      });
    return () => {
      gone = true;
    };
  }, [file]);
  return <canvas ref={canvas} className={styles.preview} width={SIDE * 2} height={SIDE * 2} />;
}
