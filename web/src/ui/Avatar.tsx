import clsx from "clsx";
import styles from "./Avatar.module.css";
import { initials, personTone } from "./person.ts";

interface AvatarProps {
  user: { id: string; name: string };
  size?: "sm" | "md" | "lg";
  online?: boolean;
}

/** Initials on the person's colour. The name stands beside it, so it is hidden from readers. */
export function Avatar({ user, size = "md", online = false }: AvatarProps) {
  return (
    <span aria-hidden className={clsx(styles.avatar, styles[size])} data-tone={personTone(user.id)}>
      {initials(user.name)}
      {online && <span className={styles.online} />}
    </span>
  );
}
