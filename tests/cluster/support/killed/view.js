// A room as a client shows it: what it has put together from events and `message:sync` by the rules of docs/chat.md,
// "What was missed", and from nothing else. The room's own messages are log 0, a thread is the log of its root's number.

const place = (log, seq) => `${log} ${seq}`;

// Without what only answers tell: how many of the reactions are one's own.
export function bare(message) {
  const { reactions, ...rest } = message;
  return reactions ? { ...rest, reactions: reactions.map(({ mine, ...reaction }) => reaction) } : rest;
}

export class View {
  constructor(room, facts) {
    Object.assign(this, { room, facts, resets: 0, syncs: 0 });
    this.forget();
  }

  forget() {
    this.messages = new Map();
    this.reaches = new Map();
    this.rev = 0;
    this.early = [];
    // Has been synchronised to the end since it was last watched.
    this.isWhole = false;
  }

  reach(log) {
    return this.reaches.get(log) ?? 0;
  }

  hear(event, argument) {
    this.facts.note(event, argument);
    this.early.push([event, argument]);
    // What comes while an answer is on its way may be older or newer than the answer: it waits.
    if (!this.syncing) this.take();
  }

  // Whether something is missing that is known of.
  get hasHole() {
    return this.early.length > 0 || this.behind().length > 0;
  }

  // Roots that have more replies than are here.
  behind() {
    const roots = [...this.messages.values()].filter((message) => message.thread === undefined && message.replies);
    return roots.filter(({ seq, replies }) => replies.count > this.reach(seq)).map(({ seq }) => seq);
  }

  take() {
    for (let before = -1; before !== this.early.length;) {
      before = this.early.length;
      this.early = this.early.filter(([event, argument]) =>
        event === "message:new" ? !this.takeMessage(argument) : !this.takeChange(argument),
      );
    }
  }

  takeMessage(message) {
    const log = message.thread ?? 0;
    if (message.seq > this.reach(log) + 1) return false;
    if (message.seq === this.reach(log) + 1) this.add(log, message);
    return true;
  }

  takeChange({ rev, seq, thread = 0, set }) {
    if (rev <= this.rev) return true;
    const overtakes = seq !== undefined && seq > this.reach(thread);
    if (rev > this.rev + 1 || overtakes) return false;
    this.rev = rev;
    const message = seq !== undefined && this.messages.get(place(thread, seq));
    if (!message) return true;
    for (const [name, value] of Object.entries(set)) {
      if (value === null) delete message[name];
      else message[name] = value;
    }
    return true;
  }

  add(log, message) {
    this.messages.set(place(log, message.seq), bare(message));
    this.reaches.set(log, message.seq);
  }

  // Asks for what is missing. `ask` gives null if the connection is lost; then it's asked again on the next one.
  async sync(ask, limit) {
    if (this.syncing) return;
    this.syncing = true;
    this.syncs += 1;
    const { rev, resets } = this;
    const isWhole = await this.syncAll(ask, limit);
    // Of changes in threads that aren't here yet nothing was kept: the answers count together, or not at all.
    if (!isWhole && resets === this.resets) this.rev = rev;
    this.isWhole ||= isWhole;
    this.syncing = false;
    this.take();
  }

  async syncAll(ask, limit) {
    if (!(await this.syncLog(ask, 0, limit))) return false;
    for (const root of this.behind()) if (!(await this.syncLog(ask, root, limit))) return false;
    return true;
  }

  async syncLog(ask, log, limit) {
    let rev = this.rev;
    for (;;) {
      const thread = log || undefined;
      const answer = await ask("message:sync", { room: this.room, thread, seq: this.reach(log), rev, limit });
      if (!answer?.ok) return false;
      if (answer.reset) {
        this.resets += 1;
        return (await this.readAnew(ask, limit)) && this.syncLog(ask, log, limit);
      }
      this.takeAnswer(log, answer);
      rev = answer.rev;
      if (log === 0) this.rev = rev;
      if (!answer.more) return true;
    }
  }

  // What it had is of no use: the changes that far back aren't kept any more.
  async readAnew(ask, limit) {
    this.forget();
    for (let rev; ;) {
      const page = await ask("message:history", { room: this.room, after: this.reach(0), limit });
      if (!page?.ok) return false;
      rev ??= page.rev;
      for (const message of page.messages) this.add(0, message);
      if (page.more_after) continue;
      this.rev = rev;
      return true;
    }
  }

  takeAnswer(log, answer) {
    for (const message of answer.changed) {
      const there = place(message.thread ?? 0, message.seq);
      // Of threads it is told of messages that it may not have.
      if (this.messages.has(there)) this.messages.set(there, bare(message));
      else if (message.thread === undefined) this.facts.wrong(`${this.room}: ${message.seq} has changed and was never there`);
    }
    for (const message of answer.messages) {
      if (message.seq !== this.reach(log) + 1) this.facts.wrong(`${this.room}: ${message.seq} after ${this.reach(log)}`);
      this.add(log, message);
    }
    if (answer.seq !== this.reach(log)) this.facts.wrong(`${this.room}: up to ${answer.seq}, but not all were there`);
  }
}

// All that a node answers of a room: messages by their place, in order, and how far everything goes.
export async function history(ask, room) {
  const found = { messages: new Map(), seq: 0, rev: 0 };
  const logs = [0];
  for (const log of logs) {
    for (let after = 0, more = true; more;) {
      const page = await ask("message:history", { room, thread: log || undefined, after, limit: 200 });
      if (log === 0) Object.assign(found, { seq: page.seq, rev: page.rev });
      for (const message of page.messages) {
        found.messages.set(place(log, message.seq), bare(message));
        if (message.replies) logs.push(message.seq);
        after = message.seq;
      }
      more = page.more_after;
    }
  }
  return found;
}
