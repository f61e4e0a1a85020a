// The page is described once, as plain data: the server prints it as HTML, the browser makes DOM nodes of it. So there is one
// place where text is escaped, and none where text becomes markup.

/** A piece of the page: text, or an element with pieces inside. */
export type Piece = string | Element;
export interface Element {
  tag: string;
  /** true: an attribute without a value */
  attributes: Readonly<Record<string, string | true>>;
  pieces: readonly Piece[];
}

/** An element. Tag and attribute names are ours; texts and attribute values may be anybody's. */
export const h = (
  tag: string,
  attributes: Readonly<Record<string, string | true>> = {},
  ...pieces: readonly (Piece | undefined)[]
): Element => ({ tag, attributes, pieces: pieces.filter((piece) => piece !== undefined) });

const VOID = new Set(['br', 'input', 'link', 'meta']);
const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => ESCAPES[c]!);

/** The piece as HTML. */
export function htmlOf(piece: Piece): string {
  if (typeof piece === 'string') return escaped(piece);
  const { tag, attributes, pieces } = piece;
  const opened = Object.entries(attributes)
    .map(([name, value]) => (value === true ? ` ${name}` : ` ${name}="${escaped(value)}"`))
    .join('');
  return VOID.has(tag) ? `<${tag}${opened}>` : `<${tag}${opened}>${pieces.map(htmlOf).join('')}</${tag}>`;
}
