/** Addresses in a text, so that they can be followed. Nothing else of a text is interpreted. */

export interface Span {
  text: string;
  href?: string;
}

const ADDRESS = /https?:\/\/[^\s<>"]+/giu;
/** What ends a sentence, or closes what was opened before the address. */
const TAIL = /[.,;:!?'’”»\])}]+$/u;

export function findLinks(text: string): Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimTail(match[0]);
    if (!isAddress(address)) continue;
    if (match.index > end) spans.push({ text: text.slice(end, match.index) });
    spans.push({ text: address, href: address });
    end = match.index + address.length;
  }
  if (end < text.length) spans.push({ text: text.slice(end) });
  return spans;
}

function trimTail(address: string): string {
  const trimmed = address.replace(TAIL, "");
  // Addresses may end in a bracket that they opened: …/Lac_(resin)
  const opened = trimmed.split("(").length > trimmed.split(")").length;
  return opened && address[trimmed.length] === ")" ? `${trimmed})` : trimmed;
}

function isAddress(text: string): boolean {
  return URL.canParse(text) && new URL(text).hostname !== "";
}

const EMOJI_ONLY =
  /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|\u200d|\ufe0f|\s)+$/u;

/** Up to three emoji and nothing else: shown larger. */
export function isEmojiOnly(text: string): boolean {
  if (text.length > 40 || !EMOJI_ONLY.test(text)) return false;
  const parts = [...new Intl.Segmenter().segment(text)].filter((part) => part.segment.trim());
  return parts.length > 0 && parts.length <= 3;
}
