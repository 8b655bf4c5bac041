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
  // Asked for before there is a word of access, it would only be refused.
  const sourceOf = (url: string) =>
    access === null && url.startsWith("/") ? undefined : addressOf(url, access);
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
              source={sourceOf(file.thumbnail ?? file.url)}
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
  /** Absent until it may be fetched. */
  source: string | undefined;
  onOpen: () => void;
}

function Picture({ file, source, onOpen }: PictureProps) {
  const { width, height } = shownSize(file);
  // By its address: with another word of access it's tried again.
  const [ended, setEnded] = useState<{ source: string | undefined; as: "shown" | "broken" }>();
  const state = ended?.source === source ? (ended?.as ?? "loading") : "loading";
  return (
    <button
      type="button"
      className={styles.picture}
      data-state={state}
      aria-label={`Picture ${file.name}, ${state === "broken" ? "could not be loaded" : "open"}`}
      // The room it takes is known before its bytes are here: nothing moves when they come.
      style={{ width, aspectRatio: `${width} / ${height}` }}
      onClick={onOpen}
    >
      {state === "broken" ? (
        <span className={styles.broken} aria-hidden>
          {file.name} could not be loaded
        </span>
      ) : (
        <img
          src={source}
          alt=""
          width={width}
          height={height}
          loading="lazy"
          decoding="async"
          onLoad={() => setEnded({ source, as: "shown" })}
          onError={() => setEnded({ source, as: "broken" })}
        />
      )}
    </button>
  );
}
