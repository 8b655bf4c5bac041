import type { User } from "lakh-client";
import { Users } from "lucide-react";
import { Avatar } from "../ui/Avatar.tsx";
import styles from "./Composer.module.css";

interface MentionListProps {
  id: string;
  people: readonly User[];
  active: number;
  onChoose: (person: User) => void;
  onPoint: (index: number) => void;
}

/** Who may be meant. The field keeps the focus; its arrow keys move the mark. */
export function MentionList({ id, people, active, onChoose, onPoint }: MentionListProps) {
  return (
    <ul id={id} className={styles.mentions} role="listbox" aria-label="People">
      {people.map((person, index) => (
        // The field hears the keys for it.
        // eslint-disable-next-line jsx-a11y/click-events-have-key-events
        <li
          key={person.id}
          id={`${id}-${index}`}
          className={styles.mention}
          role="option"
          aria-selected={index === active}
          onPointerMove={() => onPoint(index)}
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => onChoose(person)}
        >
          {person.id === "*" ? <Users size={20} aria-hidden /> : <Avatar user={person} size="sm" />}
          <span className={styles.mentionName}>{person.name}</span>
          <span className={styles.mentionId}>
            {person.id === "*" ? "everybody here" : person.id}
          </span>
        </li>
      ))}
    </ul>
  );
}
