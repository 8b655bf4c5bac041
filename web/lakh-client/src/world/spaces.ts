/** Spaces: what collaboration tools want of a world that is flat. docs/world.md, "Spaces". */
import type { User } from "../types.js";

export interface SpaceMember {
  session: string;
  user?: User | null;
  /** False: the connection is lost, and the member is waited for. */
  connected: boolean;
  profile: unknown;
  location: unknown;
}

export interface SpaceLock {
  component: string;
  version: number;
  /** Who holds it. */
  session: string;
  user?: User;
  data?: unknown;
  /** Milliseconds since 1970. */
  since: number;
  until: number;
}

export interface SpaceState {
  members: SpaceMember[];
  locations: { session: string; location: unknown }[];
  locks: SpaceLock[];
}

export interface SpaceCursor {
  session: string;
  x: number;
  y: number;
  data?: unknown;
}

export interface SpaceNamed {
  space: string;
}

export interface SpaceRequests {
  "space:enter": {
    /** `resume`: what an earlier answer gave; the member of then is taken up again. */
    fields: SpaceNamed & { profile?: unknown; resume?: string };
    answer: SpaceNamed & SpaceState & { session: string; resume: string; resumed: boolean };
  };
  "space:leave": { fields: SpaceNamed; answer: object };
  "space:get": { fields: SpaceNamed; answer: SpaceState };
  "space:profile": { fields: SpaceNamed & { profile: unknown }; answer: object };
  "space:location": { fields: SpaceNamed & { location: unknown }; answer: object };
  "space:cursor": {
    fields: SpaceNamed & { x: number; y: number; data?: unknown };
    answer: object;
  };
  "space:lock": {
    fields: SpaceNamed & { component: string; for_s?: number; data?: unknown };
    answer: { lock: SpaceLock };
  };
  "space:unlock": {
    fields: SpaceNamed & { component: string; force?: boolean };
    answer: { unlocked: boolean };
  };
  "space:locks": { fields: SpaceNamed; answer: { locks: SpaceLock[] } };
}

export interface SpaceEvents {
  "space:members": (
    change: SpaceNamed & {
      entered?: SpaceMember[];
      updated?: SpaceMember[];
      left?: SpaceMember[];
    },
  ) => void;
  "space:location": (
    change: SpaceNamed & {
      session: string;
      user?: User | null;
      location: unknown;
      previous: unknown;
    },
  ) => void;
  /** Where others point: one event for all that moved in 25 ms. */
  "space:cursors": (batch: SpaceNamed & { cursors: SpaceCursor[] }) => void;
  /** One is a member no longer; entering anew makes sense. */
  "space:closed": (closed: SpaceNamed & { again: boolean }) => void;
  /** A lock was taken, or is free: then there is none. */
  "space:lock": (
    change: SpaceNamed & {
      component: string;
      version: number;
      lock: SpaceLock | null;
      why?: string;
    },
  ) => void;
}
