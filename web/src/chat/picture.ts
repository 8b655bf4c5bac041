/**
 * One's picture as a file of this server: it goes into a room of its own that everybody may read,
 * which belongs to nobody's list. The one before it is deleted with its message.
 */
import { messageKey, type ChatClient } from "lakh-client";

const SIDE = 256;

/** The room of somebody's pictures: a thing, which is made on first use. */
export const pictureRoom = (personId: string): string => `thing:picture:${personId}`;

/** Uploads it, and gives the address that `me:set` takes. */
export async function uploadPicture(
  chat: ChatClient,
  personId: string,
  picture: File,
): Promise<string> {
  const room = pictureRoom(personId);
  await chat.room.watch({ room });
  const { url, id } = await chat.upload(room, picture);
  const sent = { room, key: messageKey(), text: "", attachments: [id], silent: true };
  const { message } = await chat.message.send(sent);
  await removePictures(chat, room, message.seq);
  await chat.room.unwatch({ room });
  return url;
}

/** Deletes what was there before. */
async function removePictures(chat: ChatClient, room: string, before: number): Promise<void> {
  const { messages } = await chat.history(room, { before });
  for (const { seq, deleted } of messages) if (!deleted) await chat.message.delete({ room, seq });
}

/** The middle of a picture, square and small; null if it can't be read. */
export async function smallPicture(file: File): Promise<File | null> {
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
    const bytes = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/webp", 0.85));
    return bytes && new File([bytes], "picture.webp", { type: bytes.type });
  } catch {
    return null;
  }
}
