/** The emoji that can be picked, with the words by which they are found. */

export interface Emoji {
  char: string;
  words: string;
}

export const QUICK = ["👍", "❤️", "😂", "🎉", "👀", "✅"] as const;

const TABLE = `
👍 yes good thumbs up like|👎 no bad thumbs down|❤️ heart love red|😂 laugh tears joy|🎉 party tada celebrate|👀 eyes look
✅ done check yes|🙏 thanks please pray|🔥 fire hot|💯 hundred perfect|🚀 rocket launch ship|👏 clap bravo
😀 grin smile happy|😄 smile happy|😅 sweat relief|🤣 rolling laugh|🙂 slight smile|😉 wink|😊 blush happy|😍 heart eyes love
🥰 love hearts|😘 kiss|😋 yum tasty|😎 cool sunglasses|🤩 star eyes wow|🥳 party hat|🤔 think hmm|🤨 eyebrow doubt
😐 neutral|😑 expressionless|🙄 roll eyes|😏 smirk|😬 grimace awkward|😌 relieved|😴 sleep tired|🤒 sick ill
🤯 mind blown|😕 confused|🙁 frown sad|😮 wow open mouth|😲 astonished|🥺 pleading|😢 cry sad|😭 sob cry
😱 scream fear|😤 huff|😡 angry rage|🤬 swear|💀 skull dead|🤡 clown|👻 ghost|🤖 robot
🙈 monkey see no|👋 wave hello bye|🤚 hand stop|👌 ok|✌️ peace victory|🤞 luck fingers crossed|🤝 handshake deal|💪 strong muscle
👆 up point|👇 down point|👈 left point|👉 right point|🫡 salute|🤷 shrug|🤦 facepalm|🙌 hooray hands
🧡 orange heart|💛 yellow heart|💚 green heart|💙 blue heart|💜 purple heart|🖤 black heart|💔 broken heart|✨ sparkles
⭐ star|⚡ zap lightning fast|💥 boom|💡 idea bulb|🎯 target|🏆 trophy win|🥇 gold first|🎁 gift
🎂 cake birthday|🍰 cake|🍕 pizza|🍔 burger|🍎 apple|🍌 banana|🥑 avocado|🌶️ chili hot
☕ coffee tea|🍵 tea|🍺 beer|🍷 wine|🥂 cheers toast|🌱 seedling grow|🌳 tree|🌹 rose flower
🌻 sunflower|🌈 rainbow|☀️ sun|🌙 moon night|❄️ snow cold|🌧️ rain|🌍 earth world|🐶 dog
🐱 cat|🦊 fox|🐻 bear|🐼 panda|🦀 crab rust|🐛 bug|🦋 butterfly|🐢 turtle slow
🦄 unicorn|🐍 snake python|🐘 elephant|🦚 peacock|⚽ football|🏀 basketball|🎮 game|🎸 guitar music
🎵 music note|🎬 film|📷 camera|💻 laptop computer|📱 phone|🔒 lock secure|🔑 key|🔗 link
📎 clip attach|📌 pin|📅 date calendar|📈 chart up|📉 chart down|📝 note write|📦 package|🛠️ tools fix
⚙️ gear settings|🧪 test tube|⏰ alarm time|⏳ wait hourglass|💰 money|✈️ plane travel|🚗 car|🏠 home house
❓ question|❗ exclamation|❌ no cross|⚠️ warning|🚨 alert siren|➕ plus|🔁 again repeat|🆗 ok`;

export const EMOJI: readonly Emoji[] = TABLE.trim()
  .split(/[|\n]/u)
  .map((entry) => {
    const [char = "", ...words] = entry.split(" ");
    return { char, words: words.join(" ") };
  });

export function findEmoji(query: string): readonly Emoji[] {
  const words = query.toLocaleLowerCase().split(/\s+/u).filter(Boolean);
  if (words.length === 0) return EMOJI;
  return EMOJI.filter((one) =>
    words.every((word) => one.words.split(" ").some((known) => known.startsWith(word))),
  );
}

/** Those used last come first, then the usual ones; each once. */
export function quickEmoji(recent: readonly string[]): string[] {
  return [...new Set([...recent, ...QUICK])].slice(0, QUICK.length);
}
