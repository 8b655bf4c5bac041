/** What tiles can be painted with: a cell's value is the place in this list, and 0 is the ground. */

export interface Paint {
  value: number;
  name: string;
  color: number;
}

export const PAINTS: readonly Paint[] = [
  { value: 1, name: "Peacock", color: 0x1f8a93 },
  { value: 2, name: "Marigold", color: 0xf0a030 },
  { value: 3, name: "Coral", color: 0xe2614a },
  { value: 4, name: "Rose", color: 0xd9679c },
  { value: 5, name: "Violet", color: 0x7d66c9 },
  { value: 6, name: "Sky", color: 0x5aa7e0 },
  { value: 7, name: "Leaf", color: 0x5c9e52 },
  { value: 8, name: "Chalk", color: 0xf4f1e8 },
  { value: 9, name: "Slate", color: 0x3d474d },
];

/** Values of others' making are shown, too. */
export function paintColor(value: number): number {
  return PAINTS[(value - 1) % PAINTS.length]?.color ?? 0;
}

/** What people and bots are coloured by. */
export const COATS: readonly { name: string; color: number }[] = [
  { name: "Peacock", color: 0x16838c },
  { name: "Marigold", color: 0xe58f1d },
  { name: "Coral", color: 0xdb5a45 },
  { name: "Rose", color: 0xcf5c91 },
  { name: "Violet", color: 0x7560c4 },
  { name: "Sky", color: 0x4a97d6 },
  { name: "Leaf", color: 0x4d9147 },
  { name: "Plum", color: 0x8a3f66 },
];
