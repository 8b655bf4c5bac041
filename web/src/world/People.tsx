import { ChevronDown, UsersRound } from "lucide-react";
import { useState } from "react";
import { Button } from "../ui/Button.tsx";
import styles from "./People.module.css";
import { Swatch } from "./Swatch.tsx";
import { useWorld, useWorldSession } from "./useWorld.ts";

/** More are counted, not named. */
const NAMED = 12;

/** The world's name, and who is in sight. */
export function People() {
  const session = useWorldSession();
  const name = useWorld(({ info }) => info?.name ?? session.name);
  const people = useWorld((state) => state.people);
  const entities = useWorld(({ stats }) => stats?.entities ?? 0);
  const where = useWorld(({ at }) => at && `${whole(at.x)}, ${whole(at.y)}`);
  const walks = useWorld(({ at }) => at?.walks ?? false);
  const [open, setOpen] = useState(false);
  const more = people.length - NAMED;
  return (
    <section className={styles.people} aria-label="Who is here">
      <div className={styles.head}>
        <h1 className={styles.name}>{name}</h1>
        {where !== null && (
          <output
            className={styles.where}
            aria-label="Where you are"
            aria-live="off"
            aria-busy={walks}
          >
            {where}
          </output>
        )}
      </div>
      <Button
        look="plain"
        size="sm"
        className={styles.toggle}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <UsersRound size={15} aria-hidden />
        <span>
          {people.length === 1 ? "1 person" : `${people.length} people`}
          {entities > people.length && ` · ${entities - people.length} others`}
        </span>
        <ChevronDown size={15} aria-hidden className={styles.chevron} />
      </Button>
      {open && (
        <ul className={styles.list} aria-label="People in sight">
          {people.slice(0, NAMED).map((person) => (
            <li key={person.id} className={styles.person}>
              <Swatch color={person.color} small />
              <span className={styles.who}>{person.name}</span>
              <span className={styles.far}>
                {person.own ? "you" : `${Math.round(person.distance)} away`}
              </span>
            </li>
          ))}
          {more > 0 && <li className={styles.far}>and {more} more</li>}
        </ul>
      )}
    </section>
  );
}

function whole(x: number): string {
  return String(Math.round(x)).replace("-", "−");
}
