import { Keyboard, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { useLocation } from "wouter";
import { Avatar } from "../ui/Avatar.tsx";
import { Hidden } from "../ui/Hidden.tsx";
import { Menu, MenuChoice, MenuItem, MenuLine, MenuNote } from "../ui/Menu.tsx";
import { identity, personOf } from "../signin/identity.ts";
import { session, signOut } from "../signin/session.ts";
import { shortcuts, touch } from "./keys.ts";
import { useStore } from "./store.ts";
import { setTheme, theme, type Theme } from "./theme.ts";
import styles from "./UserMenu.module.css";

const themes: readonly { value: Theme; label: string; icon: React.ReactNode }[] = [
  { value: "system", label: "As the system", icon: <Monitor size={16} aria-hidden /> },
  { value: "light", label: "Light", icon: <Sun size={16} aria-hidden /> },
  { value: "dark", label: "Dark", icon: <Moon size={16} aria-hidden /> },
];

/** Who is signed in, the theme, and the way out. */
export function UserMenu() {
  const auth = useStore(identity);
  const chosen = useStore(theme);
  const me = auth ? personOf(auth) : null;
  const known = useStore(session);
  const person = known.kind === "known" && auth && "session" in auth ? known.info.person : null;
  const [location] = useLocation();
  // Whoever has only a finger has no use for them.
  const hasKeys = auth && location.startsWith("/chat") && !touch.matches;
  const ThemeIcon = chosen === "dark" ? Moon : chosen === "light" ? Sun : Monitor;

  const trigger = (
    <button type="button" className={styles.trigger}>
      {me ? <Avatar user={me} size="md" /> : <ThemeIcon size={20} aria-hidden />}
      <span className={styles.name}>{me ? me.name : "Theme"}</span>
      {me && <Hidden>, settings</Hidden>}
    </button>
  );

  return (
    <Menu trigger={trigger} align="start" side="top">
      {person && (
        <>
          <MenuNote
            title={person.name}
            text={person.rights === "all" ? "May do everything" : "May look, and change nothing"}
          />
          <MenuLine />
        </>
      )}
      <MenuChoice label="Theme" value={chosen} choices={themes} onChoose={setTheme} />
      {hasKeys && (
        <>
          <MenuLine />
          <MenuItem icon={<Keyboard size={16} aria-hidden />} onSelect={() => shortcuts.set(true)}>
            Keyboard shortcuts
          </MenuItem>
        </>
      )}
      {auth && (
        <>
          <MenuLine />
          <MenuItem icon={<LogOut size={16} aria-hidden />} onSelect={() => void signOut()}>
            {"name" in auth ? "Change name" : "Sign out"}
          </MenuItem>
        </>
      )}
    </Menu>
  );
}
