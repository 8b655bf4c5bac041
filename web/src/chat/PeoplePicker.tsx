import type { User } from "lakh-client";
import { X } from "lucide-react";
import { useState, type KeyboardEvent } from "react";
import { Avatar } from "../ui/Avatar.tsx";
import { DialogForm } from "../ui/DialogForm.tsx";
import { Field } from "../ui/Field.tsx";
import { fitting } from "./model/mentions.ts";
import styles from "./NewRoom.module.css";
import { useFoundPeople } from "./useFoundPeople.ts";
import { useChat, useSession } from "./useChat.ts";

interface PeoplePickerProps {
  /** What the button says. */
  label: string;
  most?: number;
  busy?: boolean;
  onDone: (ids: string[]) => void;
}

/** Chooses people by name. */
export function PeoplePicker({ label, most = 100, busy = false, onDone }: PeoplePickerProps) {
  const [chosen, setChosen] = useState<readonly User[]>([]);
  return (
    <DialogForm
      action={label}
      ready={chosen.length > 0 && !busy}
      onSubmit={() => onDone(chosen.map((one) => one.id))}
    >
      <PeopleField chosen={chosen} most={most} onChange={setChosen} />
    </DialogForm>
  );
}

interface PeopleFieldProps {
  chosen: readonly User[];
  most: number;
  onChange: (chosen: readonly User[]) => void;
}

export function PeopleField({ chosen, most, onChange }: PeopleFieldProps) {
  const session = useSession();
  const myId = useChat((state) => state.me.id);
  const [search, setSearch] = useState("");
  const found = useFoundPeople(search);
  const known = [...session.people.values(), ...found];
  const byId = new Map(known.map((person) => [person.id, person]));
  for (const { id } of chosen) byId.delete(id);
  const fits = chosen.length < most ? fitting([...byId.values()], search.trim(), myId) : [];

  const add = (person: User) => {
    onChange([...chosen, person]);
    setSearch("");
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" && search.trim() !== "") {
      event.preventDefault();
      if (fits[0]) add(fits[0]);
    } else if (event.key === "Backspace" && search === "") {
      onChange(chosen.slice(0, -1));
    }
  };
  return (
    <div className={styles.picker}>
      {chosen.length > 0 && (
        <ul className={styles.chosen} aria-label="Chosen">
          {chosen.map((person) => (
            <li key={person.id} className={styles.chip}>
              <Avatar user={person} size="xs" />
              <span className={styles.chipName}>{person.name}</span>
              <button
                type="button"
                aria-label={`Remove ${person.name}`}
                onClick={() => onChange(chosen.filter((one) => one.id !== person.id))}
              >
                <X size={13} aria-hidden />
              </button>
            </li>
          ))}
        </ul>
      )}
      <Field
        label="People"
        value={search}
        placeholder="Find by name"
        autoComplete="off"
        onChange={(event) => setSearch(event.target.value)}
        onKeyDown={press}
      />
      <ul className={styles.found} aria-label="Found">
        {fits.map((person) => (
          <li key={person.id}>
            <button type="button" className={styles.foundPerson} onClick={() => add(person)}>
              <Avatar user={person} size="sm" />
              <span className={styles.foundName}>{person.name}</span>
              <span className={styles.foundId}>{person.id}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
