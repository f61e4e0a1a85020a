import { create, toBuffer } from 'qrcode';

// What is printed on a box: the QR code and the same code for typing. Nothing else: no hospital, no name, no medicine.

// Level Q: thermal print on a curved bag loses up to a quarter of its modules. It costs no larger code than M here.
const LEVEL = 'Q';
/** the quiet zone around a QR code, in modules (ISO/IEC 18004) */
const QUIET = 4;
const MM = 25;

/** The label as SVG, 25 mm wide with the quiet zone. `url` is what the code says, `token` what stands below it. */
export function labelSvg(url: string, token: string): string {
  const { modules } = create(url, { errorCorrectionLevel: LEVEL });
  const side = modules.size + 2 * QUIET;
  let dark = '';
  for (let row = 0; row < modules.size; row++)
    for (let column = 0; column < modules.size; column++)
      if (modules.get(row, column)) dark += `M${column + QUIET} ${row + QUIET}h1v1h-1z`;
  const groups = token.match(/.{1,4}/g) ?? [];
  const lines = [groups.slice(0, 4).join(' '), groups.slice(4).join(' ')];
  const text = lines.map((line, i) => `<text x="12.5" y="${26.2 + 2.6 * i}">${line}</text>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${MM}mm" height="30mm" viewBox="0 0 ${MM} 30">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<path transform="scale(${MM / side})" shape-rendering="crispEdges" d="${dark}"/>`,
    `<g font-family="monospace" font-size="1.9" text-anchor="middle">${text.join('')}</g>`,
    '</svg>',
    '',
  ].join('\n');
}

/** The QR code alone as PNG, 8 dots a module: 1 mm at 203 dpi, to be printed at half size or larger. */
export const labelPng = (url: string): Promise<Buffer> =>
  toBuffer(url, { errorCorrectionLevel: LEVEL, margin: QUIET, scale: 8 });
