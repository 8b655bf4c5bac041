import type { ChatAttachment } from "lakh-client";
import { Download, FileText } from "lucide-react";
import { useState } from "react";
import { useStore } from "../app/store.ts";
import { formatBytes } from "../ui/format.ts";
import styles from "./Files.module.css";
import { addressOf, fileAccess, isPicture, shownSize } from "./model/files.ts";
import { Viewer } from "./Viewer.tsx";

/** The files of a message: pictures as themselves, all else by name. */
export function Files({ files }: { files: readonly ChatAttachment[] }) {
  const [open, setOpen] = useState<number | null>(null);
  const access = useStore(fileAccess.value);
  const pictures = files.filter(isPicture);
  const others = files.filter((file) => !isPicture(file));
  return (
    <div className={styles.files}>
      {pictures.length > 0 && (
        <div className={styles.pictures}>
          {pictures.map((file, index) => (
            <Picture
              key={file.id}
              file={file}
              source={addressOf(file.thumbnail ?? file.url, access)}
              onOpen={() => setOpen(index)}
            />
          ))}
        </div>
      )}
      {others.map((file) => (
        <a
          key={file.id}
          className={styles.file}
          href={addressOf(file.url, access)}
          download={file.name}
          target="_blank"
          rel="noopener noreferrer"
        >
          <FileText size={22} aria-hidden />
          <span className={styles.fileTexts}>
            <span className={styles.fileName}>{file.name}</span>
            <span className={styles.fileSize}>{formatBytes(file.size)}</span>
          </span>
          <Download size={17} aria-label="Download" />
        </a>
      ))}
      {open !== null && (
        <Viewer files={pictures} at={open} onMove={setOpen} onClose={() => setOpen(null)} />
      )}
    </div>
  );
}

interface PictureProps {
  file: ChatAttachment;
  source: string;
  onOpen: () => void;
}

function Picture({ file, source, onOpen }: PictureProps) {
  const { width, height } = shownSize(file);
  const [state, setState] = useState<"loading" | "shown" | "broken">("loading");
  return (
    <button
      type="button"
      className={styles.picture}
      data-state={state}
      aria-label={`Picture ${file.name}, open`}
      // The room it takes is known before its bytes are here: nothing moves when they come.
      style={{ width, aspectRatio: `${width} / ${height}` }}
      onClick={onOpen}
    >
      {state === "broken" ? (
        <span className={styles.broken}>{file.name} could not be loaded</span>
      ) : (
        <img
          src={source}
          alt=""
          width={width}
          height={height}
          loading="lazy"
          decoding="async"
          onLoad={() => setState("shown")}
          onError={() => setState("broken")}
        />
      )}
    </button>
  );
}
