import clsx from "clsx";
import { useState } from "react";
import styles from "./Avatar.module.css";
import { initials, personTone } from "./person.ts";

interface AvatarProps {
  user: { id: string; name: string; picture?: string };
  size?: "xs" | "sm" | "md" | "lg";
  online?: boolean;
  away?: boolean;
}

/** A picture, or initials on the person's colour. The name stands beside it, so it is hidden from readers. */
export function Avatar({ user, size = "md", online = false, away = false }: AvatarProps) {
  const [broken, setBroken] = useState<string | null>(null);
  const { picture } = user;
  return (
    <span aria-hidden className={clsx(styles.avatar, styles[size])} data-tone={personTone(user.id)}>
      {picture && picture !== broken ? (
        <img className={styles.picture} src={picture} alt="" onError={() => setBroken(picture)} />
      ) : (
        initials(user.name)
      )}
      {(online || away) && <span className={clsx(styles.online, away && styles.away)} />}
    </span>
  );
}
