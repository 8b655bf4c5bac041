import { useRef, useState } from "react";
import { Avatar } from "../ui/Avatar.tsx";
import { Button } from "../ui/Button.tsx";
import { Field } from "../ui/Field.tsx";
import { Modal } from "../ui/Modal.tsx";
import styles from "./Profile.module.css";
import { useChat, useSession } from "./useChat.ts";

const SIDE = 96;

/** Oneself, as others see it: name, picture, and whether one is there. */
export function ProfileDialog({ onClose }: { onClose: () => void }) {
  const session = useSession();
  const { me, features } = useChat((state) => state);
  const [name, setName] = useState(me.name);
  const [picture, setPicture] = useState<string | null>(me.picture ?? null);
  const [away, setAway] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const shown = { id: me.id, name: name || me.name, ...(picture ? { picture } : {}) };

  const save = async () => {
    const { chat } = session;
    const done = await session.attempt(async () => {
      const fields = { name: name.trim(), picture };
      await chat.me.set(fields);
      if (features.has("me:status")) await chat.me.status({ status: away ? "away" : "online" });
    }, "Saved");
    if (done) onClose();
  };
  const choose = (chosen: File | undefined) => {
    if (!chosen) return;
    void smallPicture(chosen).then((made) => {
      if (made) setPicture(made);
      else session.say("This picture could not be read", true);
    });
  };

  return (
    <Modal
      open
      onClose={onClose}
      title="Your profile"
      description="How others see you in the chat."
    >
      <form
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() !== "") void save();
        }}
      >
        <div className={styles.person}>
          <Avatar user={shown} size="lg" away={away} online={!away} />
          <div className={styles.pictureButtons}>
            <Button size="sm" onClick={() => file.current?.click()}>
              Choose picture
            </Button>
            {picture && (
              <Button size="sm" look="plain" onClick={() => setPicture(null)}>
                Remove
              </Button>
            )}
            <input
              ref={file}
              type="file"
              accept="image/png,image/jpeg,image/webp,image/gif"
              hidden
              aria-label="Picture"
              onChange={(event) => choose(event.target.files?.[0])}
            />
          </div>
        </div>
        <Field
          label="Name"
          value={name}
          maxLength={64}
          autoComplete="nickname"
          onChange={(event) => setName(event.target.value)}
        />
        {features.has("me:status") && (
          <label className={styles.away}>
            <input
              type="checkbox"
              checked={away}
              onChange={(event) => setAway(event.target.checked)}
            />
            I am away
          </label>
        )}
        <div className={styles.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="solid" disabled={name.trim() === ""}>
            Save
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** A picture of a few kilobytes that needs no address of its own; null if it can't be read. */
async function smallPicture(file: File): Promise<string | null> {
  try {
    const picture = await createImageBitmap(file);
    const canvas = document.createElement("canvas");
    canvas.width = SIDE;
    canvas.height = SIDE;
    const side = Math.min(picture.width, picture.height);
    const left = (picture.width - side) / 2;
    const top = (picture.height - side) / 2;
    canvas.getContext("2d")?.drawImage(picture, left, top, side, side, 0, 0, SIDE, SIDE);
    picture.close();
    return canvas.toDataURL("image/webp", 0.8);
  } catch {
    return null;
  }
}
