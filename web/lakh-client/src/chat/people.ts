/** Requests on people: oneself, others, whom one blocks, and who is there. */
import type { PresenceChange } from "./events.js";
import type { ChatBlocked, ChatData, ChatMember, ChatPerson, Crowd, Status } from "./shapes.js";

export interface PeopleRequests {
  "me:get": { fields: object; answer: { person: ChatPerson } };
  /** `null` takes a field away. */
  "me:set": {
    fields: { name?: string; picture?: string | null; data?: ChatData | null };
    answer: { person: ChatPerson };
  };
  /** Of this device, until it goes; answered with what all devices together make of it. */
  "me:status": { fields: { status: "online" | "away" }; answer: { status: Status } };
  "person:get": { fields: { people: string[] }; answer: { people: ChatPerson[] } };
  /** By the beginning of a name or an id. */
  "person:find": {
    fields: { search: string; cursor?: string; limit?: number };
    answer: { people: ChatPerson[]; cursor: string | null };
  };
  "block:add": { fields: { person: string }; answer: object };
  "block:remove": { fields: { person: string }; answer: object };
  "block:list": {
    fields: { cursor?: string };
    answer: { people: ChatBlocked[]; cursor: string | null };
  };
}

export interface PresenceRequests {
  /** Hears `presence:change` of these people from now on: up to 200 at once, 1000 in all. */
  "presence:watch": { fields: { people: string[] }; answer: { people: PresenceChange[] } };
  "presence:unwatch": { fields: { people: string[] }; answer: object };
  "presence:list": {
    fields: { room: string; cursor?: string };
    answer: {
      members: ChatMember[];
      count: number;
      watching: number;
      crowd: Crowd;
      cursor?: string;
    };
  };
  "presence:count": {
    fields: { room: string };
    answer: { watching: number; online: number; crowd: Crowd };
  };
  /** Forgotten after 6 s: to be said again while it stays true. */
  "typing:set": { fields: { room: string; thread?: number; typing: boolean }; answer: object };
}
