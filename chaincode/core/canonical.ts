import { TraceError, type TraceErrorCode } from './error.ts';

// Canonical JSON: RFC 8785 behind a guard. Only null-free, float-free data is hashed here, and then RFC 8785 comes down to
// members sorted by UTF-16 code units and the string escapes of ECMAScript's JSON.stringify (RFC 8785 §3.2.2.2, §3.2.3).

export type Json = string | number | boolean | Json[] | { [name: string]: Json };

const MAX_DEPTH = 16;
// With the u flag a paired surrogate is one character of another category: only a lone one matches.
const LONE_SURROGATE = /\p{Cs}/u;
// Without the flag it also matches the halves of a pair, and is many times faster where there are none.
const SURROGATE = /[\ud800-\udfff]/;
const isWellFormed = (text: string): boolean => !SURROGATE.test(text) || !LONE_SURROGATE.test(text);

/**
 * The canonical text of a value of strings, booleans, safe integers, dense arrays and plain objects; undefined members are
 * left out. Throws VALUE_NOT_ALLOWED with the place for anything else: floats, null, lone surrogates, a member __proto__, nesting over 16.
 */
export function canonical(value: unknown): string {
  return write(value, []);
}

/** `place`: the steps to the value. */
function write(value: unknown, place: (string | number)[]): string {
  switch (typeof value) {
    case 'string':
      if (!isWellFormed(value)) throw notAllowed(place, 'a string with a lone surrogate');
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      if (!Number.isSafeInteger(value) || Object.is(value, -0))
        throw notAllowed(place, `the number ${value}`);
      return String(value);
    case 'object':
      break;
    default:
      throw notAllowed(place, typeof value);
  }
  if (place.length === MAX_DEPTH) throw notAllowed(place, `nesting deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) {
    let text = '[';
    for (let i = 0; i < value.length; i++) {
      place.push(i);
      text += (i ? ',' : '') + write(value[i], place);
      place.pop();
    }
    return `${text}]`;
  }
  const prototype: unknown = value && Object.getPrototypeOf(value);
  if (value === null || (prototype !== Object.prototype && prototype !== null))
    throw notAllowed(place, value === null ? 'null' : 'an object of a class');
  let text = '';
  for (const name of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[name];
    if (member === undefined) continue;
    if (!isWellFormed(name)) throw notAllowed(place, 'a name with a lone surrogate');
    place.push(name);
    // Libraries drop it on the way, and then two texts would be one value.
    if (name === '__proto__') throw notAllowed(place, 'a member of this name');
    text += `${text ? ',' : ''}${JSON.stringify(name)}:${write(member, place)}`;
    place.pop();
  }
  return `{${text}}`;
}

/** One step of a JSON pointer (RFC 6901 §3). */
const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

function notAllowed(steps: readonly (string | number)[], what: string): TraceError {
  const place = steps.map((step) => `/${escaped(String(step))}`).join('');
  return new TraceError('VALUE_NOT_ALLOWED', `${what} cannot be hashed`, { place });
}

/**
 * The value of a text that is canonical already, so duplicate names cannot pass. Throws JSON_BAD, JSON_NOT_CANONICAL, or
 * VALUE_NOT_ALLOWED for what canonical would not write.
 */
export function parseCanonical(text: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    throw new TraceError('JSON_BAD', 'the text is not JSON', { cause });
  }
  if (canonical(value) !== text) throw new TraceError('JSON_NOT_CANONICAL', 'the text is not canonical JSON');
  return value;
}

/**
 * Reads JSON text that need not be canonical (a body, a file), strictly: RFC 8259 with no duplicate names, no null, no
 * fractions or exponents, no lone surrogates, nesting up to 16 and at most `limit` UTF-16 units (8 MiB by default).
 * Throws JSON_BAD, or JSON_DUPLICATE_NAME for a name that stands twice, with the place as a JSON pointer.
 */
export function parseJson(text: string, limit = 8 << 20): Json {
  if (text.length > limit) throw new TraceError('JSON_BAD', `the text is longer than ${limit} characters`);
  return new Parser(text).whole();
}

class Parser {
  private at = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  whole(): Json {
    const value = this.value('', 0);
    this.space();
    if (this.at < this.text.length) throw this.bad('', 'text after the value');
    return value;
  }

  private value(place: string, depth: number): Json {
    this.space();
    const next = this.text[this.at];
    if ((next === '{' || next === '[') && depth === MAX_DEPTH) throw this.bad(place, 'nested too deeply');
    if (next === '{') return this.object(place, depth);
    if (next === '[') return this.array(place, depth);
    if (next === '"') return this.string(place);
    for (const [word, value] of [
      ['true', true],
      ['false', false],
    ] as const)
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    return this.integer(place);
  }

  private object(place: string, depth: number): Json {
    const members: Record<string, Json> = {};
    this.at++;
    this.space();
    if (this.take('}')) return members;
    do {
      this.space();
      if (this.text[this.at] !== '"') throw this.bad(place, 'a name was expected');
      const name = this.string(place);
      const inside = `${place}/${escaped(name)}`;
      if (name === '__proto__') throw this.bad(inside, 'this name is not allowed');
      if (Object.hasOwn(members, name))
        throw this.bad(inside, 'this name stands twice', 'JSON_DUPLICATE_NAME');
      this.space();
      if (!this.take(':')) throw this.bad(inside, 'a colon was expected');
      members[name] = this.value(inside, depth + 1);
      this.space();
    } while (this.take(','));
    if (!this.take('}')) throw this.bad(place, 'a comma or } was expected');
    return members;
  }

  private array(place: string, depth: number): Json {
    const items: Json[] = [];
    this.at++;
    this.space();
    if (this.take(']')) return items;
    do {
      items.push(this.value(`${place}/${items.length}`, depth + 1));
      this.space();
    } while (this.take(','));
    if (!this.take(']')) throw this.bad(place, 'a comma or ] was expected');
    return items;
  }

  private string(place: string): string {
    let end = this.at + 1;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === '\\' ? 2 : 1;
    const raw = this.text.slice(this.at, end + 1);
    let value: unknown;
    try {
      value = JSON.parse(raw);
    } catch {
      throw this.bad(place, 'a string is not well formed');
    }
    if (typeof value !== 'string' || !isWellFormed(value))
      throw this.bad(place, 'a string is not well formed');
    this.at = end + 1;
    return value;
  }

  private integer(place: string): number {
    const found = /-?(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y;
    found.lastIndex = this.at;
    const text = found.exec(this.text)?.[0];
    if (text === undefined) {
      const number = /^[-+.0-9]/.test(this.text.slice(this.at, this.at + 1));
      throw this.bad(place, number ? 'numbers are whole numbers up to 2^53 − 1' : 'a value was expected');
    }
    const value = Number(text);
    if (!Number.isSafeInteger(value) || Object.is(value, -0))
      throw this.bad(place, 'numbers are whole numbers up to 2^53 − 1');
    this.at += text.length;
    return value;
  }

  private space(): void {
    while (' \t\n\r'.includes(this.text[this.at] ?? 'x')) this.at++;
  }

  private take(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private bad(place: string, why: string, code: TraceErrorCode = 'JSON_BAD'): TraceError {
    return new TraceError(code, `${why} (at character ${this.at})`, { place });
  }
}
