import { useCallback, type ReactNode } from "react";
import { useStore } from "../app/store.ts";
import { PictureContext } from "../ui/Avatar.tsx";
import { directPartner } from "./model/directory.ts";
import { addressOf, fileAccess } from "./model/files.ts";
import { useChat, useSession } from "./useChat.ts";

type Subject = Parameters<typeof directPartner>[0] & { id: string; picture?: string };

/** Gives avatars the pictures of people, with the right to fetch those that this server keeps. */
export function PictureSource({ children }: { children: ReactNode }) {
  const { profiles } = useSession();
  const known = useStore(profiles.known);
  const access = useStore(fileAccess.value);
  const myId = useChat((state) => state.me.id);
  const find = useCallback(
    (user: Subject) => {
      const id = directPartner(user, myId) ?? user.id;
      const picture = user.picture ?? known.get(id)?.picture;
      if (!picture?.startsWith("/")) return picture;
      // Without the right to fetch it, it would count as broken.
      return access === null ? undefined : addressOf(picture, access);
    },
    [known, access, myId],
  );
  return <PictureContext value={find}>{children}</PictureContext>;
}
