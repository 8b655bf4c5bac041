/** Requests on people: oneself, others, whom one blocks, and who is there. */
import type { ChatData, ChatMember, ChatPerson, ChatUser, Status } from "./shapes.js";

export interface PeopleRequests {
  "me:get": { fields: object; answer: { person: ChatPerson } };
  /** `null` takes a field away. */
  "me:set": {
    fields: { name?: string; picture?: string | null; data?: ChatData | null };
    answer: { person: ChatPerson };
  };
  "me:status": { fields: { status: "online" | "away" }; answer: object };
  "person:get": { fields: { people: string[] }; answer: { people: ChatPerson[] } };
  /** By the beginning of a name or an id. */
  "person:find": {
    fields: { search: string; cursor?: string; limit?: number };
    answer: { people: ChatPerson[]; cursor: string | null };
  };
  "block:add": { fields: { person: string }; answer: object };
  "block:remove": { fields: { person: string }; answer: object };
  "block:list": { fields: object; answer: { people: ChatUser[] } };
}

export interface PresenceRequests {
  /** Hears `presence:change` of these people from now on. */
  "presence:watch": { fields: { people: string[] }; answer: { people: PresenceOf[] } };
  "presence:unwatch": { fields: { people: string[] }; answer: object };
  "presence:list": {
    fields: { room: string; cursor?: string };
    answer: { members: ChatMember[]; count?: number };
  };
  /** Forgotten after 6 s: to be said again while it stays true. */
  "typing:set": { fields: { room: string; thread?: number; typing: boolean }; answer: object };
}

export interface PresenceOf {
  id: string;
  status: Status;
  last_seen?: number;
}
