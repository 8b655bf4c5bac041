import { Ban, CircleDot, Database, Moon } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useStore } from "../app/store.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Button } from "../ui/Button.tsx";
import { Choice } from "../ui/Choice.tsx";
import { DialogForm } from "../ui/DialogForm.tsx";
import { Field } from "../ui/Field.tsx";
import { Modal } from "../ui/Modal.tsx";
import { smallPicture, uploadPicture } from "./picture.ts";
import styles from "./Profile.module.css";
import { BlockedDialog } from "./settings/BlockedDialog.tsx";
import { DataDialog } from "./settings/DataDialog.tsx";
import { useChat, useSession } from "./useChat.ts";

const STATUSES = [
  { value: "online", label: "Online" },
  { value: "away", label: "Away" },
] as const;

/** A new picture that is not sent yet, an address of one, or none. */
type Picture = { file: File } | { address: string } | null;

/** Oneself, as others see it: name, picture, and whether one is there. */
export function ProfileDialog({ onClose }: { onClose: () => void }) {
  const session = useSession();
  const { me, features } = useChat((state) => state);
  const [name, setName] = useState(me.name);
  const [picture, setPicture] = useState<Picture>(me.picture ? { address: me.picture } : null);
  const [busy, setBusy] = useState(false);
  const [opened, setOpened] = useState<"blocked" | "data" | null>(null);
  const { away, chosen } = useStore(session.own.state);

  const save = async () => {
    const { chat } = session;
    setBusy(true);
    const done = await session.attempt(async () => {
      const address =
        picture && "file" in picture
          ? await uploadPicture(chat, me.id, picture.file)
          : (picture?.address ?? null);
      await chat.me.set({ name: name.trim(), picture: address });
    }, "Saved");
    setBusy(false);
    if (done) onClose();
  };

  return (
    <Modal
      open
      onClose={onClose}
      title="Your profile"
      description="How others see you in the chat."
    >
      <DialogForm
        action="Save"
        ready={!busy && name.trim() !== ""}
        onSubmit={() => void save()}
        onCancel={onClose}
      >
        <PictureField
          name={name || me.name}
          away={away}
          picture={picture}
          onChange={setPicture}
          onBroken={() => session.say("This picture could not be read", true)}
        />
        <Field
          label="Name"
          value={name}
          maxLength={128}
          autoComplete="nickname"
          onChange={(event) => setName(event.target.value)}
        />
        {features.has("me:status") && (
          <div className={styles.status}>
            <span className={styles.label}>Status</span>
            <Choice
              label="Status"
              value={chosen ? "away" : "online"}
              choices={STATUSES}
              onChoose={(status) => session.own.choose(status === "away")}
            />
            <p className={styles.hint}>
              {away ? <Moon size={14} aria-hidden /> : <CircleDot size={14} aria-hidden />}
              {chosen
                ? "Others see that you are away, on this device, until you say otherwise."
                : "Others see that you are away when you have not been here for a while."}
            </p>
          </div>
        )}
        <div className={styles.links}>
          <Button look="plain" size="sm" onClick={() => setOpened("blocked")}>
            <Ban size={15} aria-hidden /> Blocked people
          </Button>
          <Button look="plain" size="sm" onClick={() => setOpened("data")}>
            <Database size={15} aria-hidden /> Your data
          </Button>
        </div>
      </DialogForm>
      {opened === "blocked" && <BlockedDialog onClose={() => setOpened(null)} />}
      {opened === "data" && <DataDialog onClose={() => setOpened(null)} />}
    </Modal>
  );
}

interface PictureFieldProps {
  name: string;
  away: boolean;
  picture: Picture;
  onChange: (picture: Picture) => void;
  onBroken: () => void;
}

function PictureField({ name, away, picture, onChange, onBroken }: PictureFieldProps) {
  const me = useChat((state) => state.me);
  const file = useRef<HTMLInputElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const fresh = picture && "file" in picture ? picture.file : null;
  useEffect(() => void (fresh && draw(canvas.current, fresh)), [fresh]);
  const choose = (chosen: File | undefined) => {
    if (!chosen) return;
    void smallPicture(chosen).then((made) => (made ? onChange({ file: made }) : onBroken()));
  };
  const address = picture && "address" in picture ? { picture: picture.address } : {};
  return (
    <div className={styles.person}>
      {fresh ? (
        <canvas ref={canvas} className={styles.fresh} width={96} height={96} aria-hidden />
      ) : (
        <Avatar user={{ id: me.id, name, ...address }} plain size="lg" away={away} online={!away} />
      )}
      <div className={styles.pictureButtons}>
        <Button size="sm" onClick={() => file.current?.click()}>
          Choose picture
        </Button>
        {picture && (
          <Button size="sm" look="plain" onClick={() => onChange(null)}>
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
  );
}

/** On a canvas: the content policy lets no address into a picture that a page made up. */
async function draw(canvas: HTMLCanvasElement | null, file: File): Promise<void> {
  const bitmap = await createImageBitmap(file);
  canvas?.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
}
