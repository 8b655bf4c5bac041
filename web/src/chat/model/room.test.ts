import { LakhError } from "lakh-client";
import { describe, expect, test } from "vitest";
import { ADA, BEN, message, messages, NOON, seqs } from "../test/messages.ts";
import { newRoom, reduceRoom, type Outgoing, type RoomAction, type RoomState } from "./room.ts";
import { stillTyping, TYPING_LASTS_MS, typingText } from "./typing.ts";

const outgoing: Outgoing = { key: "k9", text: "hello", time: NOON, status: "waiting" };

function after(...actions: RoomAction[]): RoomState {
  return actions.reduce(reduceRoom, newRoom("tea"));
}

const opened: RoomAction[] = [
  {
    type: "joined",
    room: { id: "tea", name: "Tea", created_at: NOON, seq: 3 },
    members: [
      { ...ADA, online: true },
      { ...BEN, online: false },
    ],
  },
  { type: "newest", page: messages(1, 3), more: false },
];

describe("sending", () => {
  test("a message waits, is sent, and gives way to the server's copy", () => {
    const sending = after(
      ...opened,
      { type: "send", message: outgoing },
      { type: "sending", key: "k9" },
    );
    expect(sending.outbox).toMatchObject([{ key: "k9", status: "sending" }]);
    const sent = reduceRoom(sending, { type: "sent", message: message(4, { key: "k9" }) });
    expect(sent.outbox).toEqual([]);
    expect(seqs(sent.timeline.messages)).toEqual([1, 2, 3, 4]);
  });

  test("the broadcast may overtake the answer: the message is there once", () => {
    const mine = message(4, { key: "k9" });
    const room = after(
      ...opened,
      { type: "send", message: outgoing },
      { type: "message", message: mine, mine: true },
      { type: "sent", message: mine },
    );
    expect(room.outbox).toEqual([]);
    expect(seqs(room.timeline.messages)).toEqual([1, 2, 3, 4]);
  });

  test("somebody else's message with the same key leaves mine on its way", () => {
    const theirs = message(4, { key: "k9", from: BEN });
    const room = after(
      ...opened,
      { type: "send", message: outgoing },
      { type: "message", message: theirs, mine: false },
    );
    expect(room.outbox).toHaveLength(1);
  });

  test("a failure keeps the message with its reason until it is sent again or deleted", () => {
    const failed = after(
      { type: "send", message: outgoing },
      { type: "unsent", key: "k9", status: "failed", error: "Not now." },
    );
    expect(failed.outbox).toMatchObject([{ key: "k9", status: "failed", error: "Not now." }]);
    const again = reduceRoom(failed, { type: "sending", key: "k9" });
    expect(again.outbox[0]).toEqual({ ...outgoing, status: "sending" });
    expect(reduceRoom(failed, { type: "discard", key: "k9" }).outbox).toEqual([]);
  });
});

describe("people", () => {
  test("only those who are online are shown, and they come and go", () => {
    const room = after(...opened);
    expect([...room.people.keys()]).toEqual([ADA.id]);
    const both = reduceRoom(room, { type: "presence", user: BEN, online: true });
    expect([...both.people.keys()]).toEqual([ADA.id, BEN.id]);
    const gone = reduceRoom(both, { type: "presence", user: ADA, online: false });
    expect([...gone.people.keys()]).toEqual([BEN.id]);
  });

  test("typing ends with a message, with going away, or by itself", () => {
    const typing = after(...opened, { type: "typing", user: BEN, typing: true, now_ms: 1000 });
    expect(typingText(typing.typing)).toBe("Ben is typing");
    const said = reduceRoom(typing, {
      type: "message",
      message: message(4, { from: BEN }),
      mine: false,
    });
    expect(typingText(said.typing)).toBeNull();
    const away = reduceRoom(typing, { type: "presence", user: BEN, online: false });
    expect(typingText(away.typing)).toBeNull();
    expect(stillTyping(typing.typing, 1000 + TYPING_LASTS_MS - 1)).toBe(typing.typing);
    expect(stillTyping(typing.typing, 1000 + TYPING_LASTS_MS)).toEqual([]);
  });

  test("many who type are named as long as they are few", () => {
    const names = ["Ada", "Ben", "Cleo", "Dov"];
    const texts = names.map((_, count) =>
      typingText(
        names.slice(0, count + 1).map((name) => ({ user: { id: name, name }, until_ms: 1 })),
      ),
    );
    expect(texts).toEqual([
      "Ada is typing",
      "Ada and Ben are typing",
      "Ada, Ben and Cleo are typing",
      "Several people are typing",
    ]);
  });
});

describe("opening", () => {
  test("a refused room keeps the reason until it is tried again", () => {
    const refused = after({ type: "refused", error: new LakhError("forbidden", "Members only.") });
    expect(refused).toMatchObject({ phase: "failed", error: { code: "forbidden" } });
    expect(reduceRoom(refused, { type: "joining" })).toMatchObject({
      phase: "joining",
      error: null,
    });
  });

  test("what lies before the newest page is known", () => {
    expect(after(...opened).older).toBe("none");
    const room = after({ type: "newest", page: messages(8, 9), more: true });
    expect(room.older).toBe("more");
    const failed = [{ type: "loading_older" }, { type: "older_failed" }] as const;
    expect(failed.reduce<RoomState>(reduceRoom, room).older).toBe("failed");
    const older = reduceRoom(room, { type: "older", page: messages(1, 7), more: false });
    expect(older.older).toBe("none");
    expect(reduceRoom(older, { type: "trim", keep: 2 })).toMatchObject({ older: "more" });
  });
});
