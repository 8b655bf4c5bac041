/** Files on their way to a message: each with its progress, and a way to give it up. */
import { LakhError, type ChatAttachment } from "lakh-client";
import { useCallback, useEffect, useRef, useState } from "react";
import { readable } from "../ui/format.ts";
import { useSession } from "./useChat.ts";

export interface Upload {
  readonly id: number;
  readonly file: File;
  /** From 0 to 1. */
  readonly progress: number;
  readonly done: ChatAttachment | null;
  readonly error: string | null;
}

/** As many as a message may carry. */
export const MOST_FILES = 10;

export function useUploads(roomId: string) {
  const session = useSession();
  const [uploads, setUploads] = useState<readonly Upload[]>([]);
  const stops = useRef(new Map<number, AbortController>());
  const lastId = useRef(0);

  const change = useCallback((id: number, set: Partial<Upload>) => {
    setUploads((old) => old.map((one) => (one.id === id ? { ...one, ...set } : one)));
  }, []);

  const add = useCallback(
    (files: readonly File[]) => {
      const room = MOST_FILES - stops.current.size;
      if (files.length > room) session.say(`A message carries ${MOST_FILES} files at most`, true);
      for (const file of files.slice(0, room)) {
        lastId.current += 1;
        const id = lastId.current;
        const stop = new AbortController();
        stops.current.set(id, stop);
        setUploads((old) => [...old, { id, file, progress: 0, done: null, error: null }]);
        session.chat
          .upload(roomId, file, {
            signal: stop.signal,
            onProgress: (progress) => change(id, { progress }),
          })
          .then((done) => change(id, { done, progress: 1 }))
          .catch((error: unknown) => {
            if (!(error instanceof LakhError)) throw error;
            change(id, { error: inWords(error, file) });
          });
      }
    },
    [session, roomId, change],
  );

  const remove = useCallback((id: number) => {
    stops.current.get(id)?.abort();
    stops.current.delete(id);
    setUploads((old) => old.filter((one) => one.id !== id));
  }, []);

  const clear = useCallback(() => {
    stops.current.clear();
    setUploads([]);
  }, []);

  useEffect(() => {
    const all = stops.current;
    return () => {
      for (const stop of all.values()) stop.abort();
    };
  }, []);

  return { uploads, add, remove, clear };
}

/** Why a file was not taken, for people. */
function inWords({ code, message }: LakhError, { size }: File): string {
  if (size === 0) return "The file is empty";
  if (code === "unsupported_type") return "Files of this kind can’t be sent here";
  return readable(message);
}
