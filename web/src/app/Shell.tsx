import { useEffect, type ReactNode } from "react";
import { Link, useLocation } from "wouter";
import { SessionBanner } from "../signin/SessionBanner.tsx";
import { watchSession } from "../signin/session.ts";
import { Logo } from "../ui/Logo.tsx";
import { Tip } from "../ui/Tip.tsx";
import { isWithin, modules, type ModuleEntry } from "./modules.ts";
import styles from "./Shell.module.css";
import { Store, useStore } from "./store.ts";
import { UserMenu } from "./UserMenu.tsx";

/** The frame of every page: modules at the side, or along the foot of a phone. */
export function Shell({ children }: { children: ReactNode }) {
  const [location] = useLocation();
  useEffect(watchSession, []);
  return (
    <div className={styles.shell}>
      <a className={styles.skip} href="#main">
        Skip to the page
      </a>
      <nav className={styles.nav} aria-label="Modules">
        <Link href="/" className={styles.brand} aria-label="Lakh, overview">
          <Logo />
          <span className={styles.wordmark}>Lakh</span>
        </Link>
        <ul className={styles.list}>
          {modules.map((entry) => (
            <li key={entry.path}>
              <ModuleLink entry={entry} here={isWithin(location, entry.path)} />
            </li>
          ))}
        </ul>
        <div className={styles.foot}>
          <UserMenu />
        </div>
      </nav>
      <main id="main" className={styles.main} tabIndex={-1}>
        <SessionBanner />
        <div className={styles.page}>{children}</div>
      </main>
    </div>
  );
}

const NOWHERE = new Store<string | null>(null);

function ModuleLink({ entry, here }: { entry: ModuleEntry; here: boolean }) {
  const { path, name, icon: Icon, last = NOWHERE } = entry;
  const href = useStore(last) ?? path;
  return (
    <Tip text={name} side="right">
      <Link href={href} className={styles.link} aria-current={here ? "page" : undefined}>
        <Icon size={20} aria-hidden />
        <span className={styles.name}>{name}</span>
      </Link>
    </Tip>
  );
}
