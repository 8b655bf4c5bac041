/**
 * A text as spans: addresses, mentions, and the marks that people write by habit (`code`, **bold**,
 * *italic*, ~~gone~~, ``` blocks). All else stays as it was written; nothing becomes HTML.
 */

export interface Span {
  kind: "text" | "link" | "code" | "block" | "mention" | "found";
  text: string;
  bold?: boolean;
  italic?: boolean;
  struck?: boolean;
  href?: string;
}

const ADDRESS = /https?:\/\/[^\s<>"]+/giu;
/** What ends a sentence, or closes what was opened before the address. */
const TAIL = /[.,;:!?'’”»\])}*_~]+$/u;
const BLOCK = /```(?:[a-z0-9+-]*\n)?([\s\S]+?)```/giu;
const CODE = /`([^`\n]+)`/gu;
/** An opening mark stands before a word and behind none, a closing one the other way round. */
const STYLES = [
  { style: "bold", mark: /(?<![\p{L}\p{N}*])\*\*(?=\S)([^\n]*?\S)\*\*(?![\p{L}\p{N}*])/gu },
  { style: "struck", mark: /(?<![\p{L}\p{N}~])~~(?=\S)([^\n]*?\S)~~(?![\p{L}\p{N}~])/gu },
  { style: "italic", mark: /(?<![\p{L}\p{N}*])\*(?=[^\s*])([^\n*]*?[^\s*])\*(?![\p{L}\p{N}*])/gu },
  { style: "italic", mark: /(?<![\p{L}\p{N}_])_(?=[^\s_])([^\n_]*?[^\s_])_(?![\p{L}\p{N}_])/gu },
] as const;

/** `names`: who is mentioned, as written behind the @. */
export function toSpans(text: string, names: readonly string[] = []): Span[] {
  return trimmed(blocks(text))
    .flatMap((span) => onText(span, (one) => split([one], CODE, code)))
    .flatMap((span) => onText(span, addresses))
    .flatMap((span) => onText(span, (one) => mentions(one, names)))
    .flatMap((span) => onText(span, (one) => styled(one, 0)));
}

function blocks(text: string): Span[] {
  return split([{ kind: "text", text }], BLOCK, (match) => ({
    kind: "block",
    text: (match[1] ?? "").replace(/\n$/u, ""),
  }));
}

/** A block stands on lines of its own: those written around it would be empty ones. */
function trimmed(spans: readonly Span[]): Span[] {
  return spans
    .map((span, index) => {
      if (span.kind !== "text") return span;
      let { text } = span;
      if (spans[index - 1]?.kind === "block") text = text.replace(/^\n+/u, "");
      if (spans[index + 1]?.kind === "block") text = text.replace(/\n+$/u, "");
      return { ...span, text };
    })
    .filter((span) => span.text !== "");
}

/** A text with what was found in it marked. */
export function withMarks(text: string, marks: readonly (readonly [number, number])[]): Span[] {
  const spans: Span[] = [];
  let at = 0;
  for (const [start, end] of [...marks].sort((a, b) => a[0] - b[0])) {
    if (start < at || end <= start || end > text.length) continue;
    if (start > at) spans.push({ kind: "text", text: text.slice(at, start) });
    spans.push({ kind: "found", text: text.slice(start, end) });
    at = end;
  }
  if (at < text.length) spans.push({ kind: "text", text: text.slice(at) });
  return spans;
}

function onText(span: Span, change: (span: Span) => Span[]): Span[] {
  return span.kind === "text" ? change(span) : [span];
}

function code(match: RegExpExecArray): Span {
  return { kind: "code", text: match[1] ?? "" };
}

function split(
  spans: readonly Span[],
  pattern: RegExp,
  make: (match: RegExpExecArray) => Span | null,
): Span[] {
  return spans.flatMap((span) => {
    const parts: Span[] = [];
    let at = 0;
    for (const match of span.text.matchAll(pattern)) {
      const made = make(match);
      if (!made) continue;
      if (match.index > at) parts.push({ ...span, text: span.text.slice(at, match.index) });
      parts.push(made);
      at = match.index + match[0].length;
    }
    if (at < span.text.length) parts.push({ ...span, text: span.text.slice(at) });
    return parts;
  });
}

function styled(span: Span, from: number): Span[] {
  const rule = STYLES[from];
  if (!rule) return [span];
  const parts = split([span], rule.mark, (match) => ({
    ...span,
    text: match[1] ?? "",
    [rule.style]: true,
  }));
  return parts.flatMap((part) => styled(part, from + 1));
}

function addresses(span: Span): Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const match of span.text.matchAll(ADDRESS)) {
    const address = trimTail(match[0]);
    if (!isAddress(address)) continue;
    if (match.index > end) spans.push({ ...span, text: span.text.slice(end, match.index) });
    spans.push({ kind: "link", text: address, href: address });
    end = match.index + address.length;
  }
  if (end < span.text.length) spans.push({ ...span, text: span.text.slice(end) });
  return spans;
}

function mentions(span: Span, names: readonly string[]): Span[] {
  if (names.length === 0) return [span];
  // The longest first: "@Ada Lovelace" is not "@Ada".
  const sorted = [...names].sort((a, b) => b.length - a.length).map(escape);
  const pattern = new RegExp(`@(?:${sorted.join("|")})(?![\\p{L}\\p{N}])`, "giu");
  return split([span], pattern, (match) => ({ kind: "mention", text: match[0] }));
}

/** For a regular expression. */
export function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/gu, "\\$&");
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

/** One line without marks: for lists, quotes and what is read out. */
export function plainText(text: string): string {
  return toSpans(text)
    .map((span) => span.text)
    .join("")
    .replace(/\s+/gu, " ")
    .trim();
}
