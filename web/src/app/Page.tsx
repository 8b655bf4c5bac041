import { useEffect, type ReactNode } from "react";
import { Hidden } from "../ui/Hidden.tsx";
import styles from "./Page.module.css";

interface PageProps {
  title: string;
  hideTitle?: boolean;
  /** Stands at the right of the title. */
  aside?: ReactNode;
  children: ReactNode;
}

/** A page that scrolls as a whole, with its title. Chat has a frame of its own. */
export function Page({ title, hideTitle = false, aside, children }: PageProps) {
  useTitle(title);
  const heading = <h1 className={styles.title}>{title}</h1>;
  return (
    <div className={styles.scroll}>
      <div className={styles.page}>
        {hideTitle ? (
          <Hidden>{heading}</Hidden>
        ) : (
          <header className={styles.head}>
            {heading}
            {aside}
          </header>
        )}
        {children}
      </div>
    </div>
  );
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Lakh`;
  }, [title]);
}
