// A team at work, written over the API for backends: ten people, twelve rooms, direct rooms, threads, pictures,
// reactions, long and short messages. What looks at the page or measures it starts from here.

const TEAM = {
  maya: "Maya Okafor",
  jonas: "Jonas Weber",
  aiko: "Aiko Tanaka",
  omar: "Omar Haddad",
  lena: "Lena Fischer",
  priya: "Priya Raman",
  tomas: "Tomás Rivera",
  zoe: "Zoë Laurent",
  yusuf: "Yusuf Kaya",
  ines: "Ines Carvalho",
};
export const nameOf = (who) => TEAM[who];
export const idOf = (who) => `dev:${TEAM[who].toLowerCase()}`;
const everybody = Object.keys(TEAM);

// One request of the chat, as a person (a key of TEAM) or as the house (null).
export async function ask(url, who, request, fields) {
  const body = who ? { as: idOf(who), as_name: nameOf(who), ...fields } : fields;
  const answer = await fetch(`${url}/api/v1/chat/${request}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${request} as ${who}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

let key = 0;
export async function say(url, who, room, text, fields = {}) {
  key += 1;
  const sent = { room, key: `k${Date.now()}-${key}`, text, ...fields };
  return (await ask(url, who, "message:send", sent)).message;
}

// Puts a file where messages of the room may carry it; gives its id.
export async function upload(url, who, room, name, type, bytes) {
  const ticket = await ask(url, who, "attachment:upload", { room, name, size: bytes.length, type });
  const put = await fetch(url + ticket.url, { method: "PUT", body: bytes });
  if (!put.ok) throw new Error(`upload of ${name}: ${put.status} ${await put.text()}`);
  return (await put.json()).id;
}

const ROOMS = [
  ["ferry-app", "The app for passengers", "private"],
  ["general", "All of us", "public"],
  ["design", "Screens, words, colours", "public"],
  ["releases", "What went out, and when", "public"],
  ["on-call", "Somebody is awake", "private"],
  ["timetables", "Where the data comes from", "public"],
  ["support", "What passengers write", "public"],
  ["hiring", null, "private"],
  ["offsite-lisbon", "12 to 15 May", "public"],
  ["random", "Cats, bread, weather", "public"],
  ["research-notes-on-accessibility-for-passengers-with-low-vision", null, "public"],
  ["books", "One a month", "public"],
];

// `draw(kind)` gives the bytes of a PNG: "harbour", "chart" or "screen".
export async function seedTeam(url, draw) {
  for (const who of everybody) {
    await ask(url, who, "me:set", { name: nameOf(who) });
  }
  for (const [id, topic, kind] of ROOMS) {
    await ask(url, "maya", "room:create", {
      id,
      name: id,
      kind,
      ...(topic ? { topic } : {}),
      ...(kind === "private" ? { members: everybody.filter((who) => who !== "maya").map(idOf) } : {}),
    });
    if (kind === "public") {
      for (const who of everybody.slice(1)) await ask(url, who, "room:join", { room: id });
    }
  }
  await smallTalk(url, draw);
  await ferryApp(url, draw);
  await directRooms(url);
}

async function react(url, room, seq, emoji, ...people) {
  for (const who of people) await ask(url, who, "reaction:add", { room, seq, emoji });
}

async function smallTalk(url, draw) {
  await say(url, "ines", "books", "Next: *The Left Hand of Darkness*. Who has a spare copy?");
  await say(url, "tomas", "research-notes-on-accessibility-for-passengers-with-low-vision", "Five interviews are transcribed.");
  const bread = await upload(url, "zoe", "random", "harbour at six.png", "image/png", await draw("harbour"));
  const photo = await say(url, "zoe", "random", "Six in the morning, before the first boat", { attachments: [bread] });
  await react(url, "random", photo.seq, "😍", "maya", "aiko", "priya", "omar");
  await react(url, "random", photo.seq, "🌅", "lena");
  await say(url, "jonas", "random", "🦆🦆🦆");
  await say(url, "lena", "offsite-lisbon", "Flights are booked. Bring shoes for cobbles.");
  await say(url, "priya", "hiring", "Two people for the mobile role on Thursday.");
  await say(url, "omar", "support", "شكراً لكم، وصل القارب في الموعد تماماً اليوم");
  await say(url, "yusuf", "support", "That’s from the form: “the boat was exactly on time today”. 🎉");
  await say(url, "aiko", "timetables", "島の時刻表が更新されました。");
  await say(url, "jonas", "timetables", "The winter feed ends on 31 March; the loader warns from the 20th on.");
  await say(url, "yusuf", "on-call", "Quiet night. One retry storm at 03:12, gone by itself.");
  await say(url, "lena", "releases", "2.8 is in both stores. Notes: https://example.com/releases/2.8");
  const sketch = await upload(url, "aiko", "design", "ticket screen, third round.png", "image/png", await draw("screen"));
  await say(url, "aiko", "design", "Third round of the ticket screen. The code is larger, the price smaller.", { attachments: [sketch] });
  await say(url, "zoe", "design", "Much calmer. May I try it in the dark theme?");
  const all = await say(url, "maya", "general", "Lunch is here. Upstairs, while it’s warm.");
  await react(url, "general", all.seq, "🍜", "jonas", "aiko", "omar", "tomas", "priya");
  await say(url, "omar", "general", `@${nameOf("maya")} the lawyers said yes to the new terms`, { mentions: [idOf("maya")] });
}

async function ferryApp(url, draw) {
  const room = "ferry-app";
  const say_ = (who, text, fields) => say(url, who, room, text, fields);
  await say_("jonas", "Morning! Live positions run on the new server since midnight.");
  await say_("jonas", "Median from boat to phone is 48 ms now, it was 1.9 s.");
  const numbers = await say_("priya", "Wow. Did anybody lose a position during the switch?");
  await say_("jonas", "None. I pulled the plug twice to be sure.", { reply_to: numbers.seq });
  await react(url, room, numbers.seq + 1, "🚀", "maya", "aiko", "lena", "zoe");
  await react(url, room, numbers.seq + 1, "👏", "priya", "omar");
  const chart = await upload(url, "lena", room, "delay by hour.png", "image/png", await draw("chart"));
  const plot = await say_("lena", "Delay by hour, yesterday against last week:", { attachments: [chart] });
  await react(url, room, plot.seq, "📉", "maya", "jonas");
  for (const [who, text] of [
    ["tomas", "What is the bump at seven?"],
    ["lena", "The school boats. They all report at once."],
    ["jonas", "I can spread that over ten seconds on the boats’ side."],
    ["tomas", "Please. Nobody will notice ten seconds at the pier."],
  ]) {
    await say(url, who, room, text, { thread: plot.seq });
  }
  await say_("omar", "For whoever reviews the retry, this is all of it:\n```\nfor (const wait of [1, 2, 4, 8]) {\n  if (await send(position)) return;\n  await sleep(wait * 1000);\n}\n```");
  await say_("zoe", "Read it. `sleep` should jitter, or the boats knock on the door together again.");
  await say_("aiko", `@${nameOf("maya")} the offline banner is ready to try: https://example.com/try/offline`, { mentions: [idOf("maya")] });
  const plan = await say_("maya", "I’m on the 14:10 to Seaton with a phone and no signal. Best test there is.");
  await react(url, room, plan.seq, "⛴️", "aiko", "jonas", "zoe");
  await say_("aiko", "Take the small boat, it has the worst reception");
}

async function directRooms(url) {
  const open = async (a, ...others) =>
    (await ask(url, a, "room:direct", { people: others.map(idOf) })).room.id;
  const zoe = await open("maya", "zoe");
  await say(url, "maya", zoe, "Do you have ten minutes for the dark theme?");
  await say(url, "zoe", zoe, "After lunch. I’ll bring the contrast table.");
  const omar = await open("maya", "omar");
  await say(url, "omar", omar, "Signed!");
  const three = await open("maya", "jonas", "lena");
  await say(url, "lena", three, "Let’s tell the others about the school boats on Monday.");
}
