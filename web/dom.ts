import type { Piece } from './element.ts';

/** The piece as a DOM node: text only ever becomes text. */
export function domOf(piece: Piece): Node {
  if (typeof piece === 'string') return document.createTextNode(piece);
  const element = document.createElement(piece.tag);
  for (const [name, value] of Object.entries(piece.attributes))
    element.setAttribute(name, value === true ? '' : value);
  element.append(...piece.pieces.map(domOf));
  return element;
}
