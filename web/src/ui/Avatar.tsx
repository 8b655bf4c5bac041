import clsx from "clsx";
import { createContext, use, useState } from "react";
import styles from "./Avatar.module.css";
import { initials, personTone } from "./person.ts";

interface Pictured {
  id: string;
  name: string;
  picture?: string;
}

/** Where somebody's picture is, for those who are named without one, and as an address to fetch. */
export const PictureContext = createContext<(user: Pictured) => string | undefined>(
  (user) => user.picture,
);

interface AvatarProps {
  user: Pictured;
  /** Whose colour it has, where that is somebody else's than `user`'s. */
  toneOf?: string | null;
  /** Shows the picture that it is given, and no other. */
  plain?: boolean;
  size?: "xs" | "sm" | "md" | "lg";
  online?: boolean;
  away?: boolean;
}

/** A picture, or initials on the person's colour. The name stands beside it, so it is hidden from readers. */
export function Avatar(props: AvatarProps) {
  const { user, toneOf, plain, size = "md", online = false, away = false } = props;
  const [broken, setBroken] = useState<string | null>(null);
  const find = use(PictureContext);
  const picture = plain && user.picture === undefined ? undefined : find(user);
  return (
    <span
      aria-hidden
      className={clsx(styles.avatar, styles[size])}
      data-tone={personTone(toneOf ?? user.id)}
    >
      {picture && picture !== broken ? (
        <img className={styles.picture} src={picture} alt="" onError={() => setBroken(picture)} />
      ) : (
        initials(user.name)
      )}
      {(online || away) && <span className={clsx(styles.online, away && styles.away)} />}
    </span>
  );
}
