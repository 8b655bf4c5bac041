// Random numbers that a seed reproduces (mulberry32, public domain). How processes interleave is not reproduced.

export class Noise {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  // From 0 up to, but not, 1.
  share() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  below(bound) {
    return Math.floor(this.share() * bound);
  }

  // Once in so many times.
  oneIn(times) {
    return this.below(times) === 0;
  }

  of(list) {
    return list[this.below(list.length)];
  }
}
