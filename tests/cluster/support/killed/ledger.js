// What people asked for and what they were told came of it; and whether history has exactly that.

// How a thing named by its place is called in what is found wrong.
const at = (room, place) => `${room} ${place}`;

export class Facts {
  constructor() {
    this.found = [];
    this.told = new Map();
  }

  wrong(what) {
    this.found.push(what);
  }

  // All who hear of a number hear the same of it, from whichever node and however often.
  note(event, argument) {
    const { room, thread = 0, seq, rev } = argument;
    const isNew = event === "message:new";
    const name = isNew ? `${room} message ${thread} ${seq}` : `${room} change ${rev}`;
    // A message told again is told as it is by then: its key stays.
    const said = isNew ? `${argument.from.id} ${argument.key}` : JSON.stringify(argument);
    const before = this.told.get(name);
    if (before === undefined) this.told.set(name, said);
    else if (before !== said) this.wrong(`two of one number, ${name}: ${before} and ${said}`);
  }

  // How many changes of a kind each message had, as far as anybody heard of them.
  count(what) {
    const counts = new Map();
    for (const [name, said] of this.told) {
      if (!name.includes(" change ")) continue;
      const change = JSON.parse(said);
      if (change.what !== what) continue;
      const message = at(change.room, `${change.thread ?? 0} ${change.seq}`);
      counts.set(message, (counts.get(message) ?? 0) + 1);
    }
    return counts;
  }
}

export class Ledger {
  constructor(facts) {
    this.facts = facts;
    // By author and key: all that was ever sent.
    this.sent = new Map();
    // By room and place: who has given which reactions, and refusals that only a deleted message explains.
    this.given = new Map();
    this.goneSaid = [];
    this.acts = 0;
    this.waiting = new Set();
  }

  // Resolves when so many more acts are acknowledged.
  more(acts) {
    const until = this.acts + acts;
    return new Promise((done) => this.waiting.add({ until, done }));
  }

  acked() {
    this.acts += 1;
    for (const one of this.waiting) {
      if (this.acts < one.until) continue;
      this.waiting.delete(one);
      one.done();
    }
  }

  send(person, request) {
    const { room, thread = 0, key, text } = request;
    const entry = { author: person.id, room, log: thread, key, texts: [text], state: "unknown", edits: 0 };
    if (request.expires_in_s) entry.expires = true;
    if (request.mentions) entry.mentions = request.mentions;
    this.sent.set(`${person.id} ${room} ${thread} ${key}`, entry);
    return entry;
  }

  placed(entry, message) {
    if (entry.seq !== undefined && entry.seq !== message.seq) {
      this.facts.wrong(`${entry.key} of ${entry.author} was acknowledged as ${entry.seq} and as ${message.seq}`);
    }
    if (message.key !== entry.key || message.from.id !== entry.author || message.room !== entry.room) {
      this.facts.wrong(`${entry.key} of ${entry.author} was acknowledged as ${JSON.stringify(message)}`);
    }
    entry.seq = message.seq;
    entry.state = "acked";
  }

  reactionsOf(room, place, person) {
    const name = `${at(room, place)}\n${person.id}`;
    let given = this.given.get(name);
    if (!given) this.given.set(name, (given = { room, place, person: person.id, emoji: new Set() }));
    return given;
  }

  // Somebody was told that a message isn't there, so it must be deleted.
  gone(room, place, request) {
    this.goneSaid.push({ room, place, request });
  }

  // `histories`: by room, as history() gives them.
  judge(histories) {
    const seen = new Map();
    for (const [room, { messages, seq }] of histories) this.judgeRoom(room, messages, seq, seen);
    for (const [name, entry] of this.sent) this.judgeSent(entry, seen.get(name) ?? []);
    for (const { room, place, person, emoji } of this.given.values()) {
      const message = histories.get(room).messages.get(place);
      if (!message) this.facts.wrong(`${at(room, place)} is not there, and ${person} has reacted to it`);
      if (!message || message.deleted) continue;
      const has = (message.reactions ?? []).filter(({ people }) => people.some(({ id }) => id === person));
      const [is, expected] = [has.map((reaction) => reaction.emoji).sort(), [...emoji].sort()];
      if (`${is}` !== `${expected}`) this.facts.wrong(`${at(room, place)}: ${person} gave ${expected}, there is ${is}`);
    }
    for (const { room, place, request } of this.goneSaid) {
      const message = histories.get(room).messages.get(place);
      if (!message?.deleted) this.facts.wrong(`${at(room, place)} was said to be gone: ${JSON.stringify(request)}`);
    }
    for (const what of ["delete", "expire"]) {
      for (const [message, times] of this.facts.count(what)) {
        if (times > 1) this.facts.wrong(`${message}: ${what} was told as ${times} changes`);
      }
    }
  }

  // Numbers without holes, each key once, and nothing that nobody has sent.
  judgeRoom(room, messages, seq, seen) {
    const ends = new Map([[0, 0]]);
    for (const [place, message] of messages) {
      const log = message.thread ?? 0;
      const expected = (ends.get(log) ?? 0) + 1;
      if (message.seq !== expected) this.facts.wrong(`${at(room, place)}: ${expected} is missing`);
      ends.set(log, message.seq);
      const name = `${message.from.id} ${room} ${log} ${message.key}`;
      seen.set(name, [...(seen.get(name) ?? []), message]);
      if (!this.sent.has(name)) this.facts.wrong(`${at(room, place)}: nobody sent ${name}`);
      this.judgeReactions(room, place, message);
    }
    if (ends.get(0) !== seq) this.facts.wrong(`${room} ends with ${ends.get(0)}, and says ${seq}`);
    for (const [log, last] of ends) {
      const count = log && messages.get(`0 ${log}`).replies?.count;
      if (log && count !== last) this.facts.wrong(`${room} ${log}: counts ${count} replies and has ${last}`);
    }
  }

  judgeReactions(room, place, message) {
    for (const { emoji, count, people } of message.reactions ?? []) {
      const unknown = people.filter(({ id }) => !this.given.has(`${at(room, place)}\n${id}`));
      for (const { id } of unknown) this.facts.wrong(`${at(room, place)}: ${id} never gave ${emoji}`);
      if (count !== people.length) this.facts.wrong(`${at(room, place)}: ${emoji} counts ${count} of ${people.length}`);
    }
  }

  judgeSent(entry, messages) {
    const name = `${entry.key} of ${entry.author} in ${entry.room} ${entry.log}`;
    const wrong = (what) => this.facts.wrong(`${name}: ${what}`);
    if (messages.length > 1) return wrong(`is there ${messages.length} times`);
    const [message] = messages;
    if (entry.state === "unknown" && !message) return;
    if (["cancelled", "refused"].includes(entry.state)) return message && wrong(`was ${entry.state}, and is there`);
    if (!message) return wrong("was acknowledged, and is not there");
    if (entry.seq !== undefined && entry.seq !== message.seq) wrong(`acknowledged as ${entry.seq}, is ${message.seq}`);
    if (entry.expires || entry.deleted) {
      if (!message.deleted || message.text !== "") wrong(`is to be gone, and says ${JSON.stringify(message)}`);
      if (entry.expires && !message.deleted?.purged) wrong("has expired, and was not purged");
      return;
    }
    if (message.deleted) return wrong("nobody has deleted it");
    const expected = entry.texts.at(-1);
    if (expected !== undefined && message.text !== expected) wrong(`says "${message.text}" instead of "${expected}"`);
    if ((message.edits ?? 0) !== entry.edits) wrong(`counts ${message.edits} edits of ${entry.edits}`);
    if (Boolean(message.pinned) !== Boolean(entry.pinned)) wrong(`pinned: ${message.pinned}`);
  }
}
