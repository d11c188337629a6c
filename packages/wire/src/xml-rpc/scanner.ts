import { WireError, type WireErrorCode } from '../wire-error.ts';
import type { WireLimits } from '../wire-limits.ts';

// oxlint-disable-next-line no-control-regex
const forbidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;
const nameText = /[A-Za-z_:\u0080-\uffff][-A-Za-z0-9_:.\u0080-\uffff]*/y;
const attribute =
  /[ \t\r\n]+([A-Za-z_:\u0080-\uffff][-A-Za-z0-9_:.\u0080-\uffff]*)[ \t\r\n]*=[ \t\r\n]*("[^<"]*"|'[^<']*')/y;
const predefined: { readonly [name: string]: string } = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const maxAttributes = 16;
const maxReferenceLength = 24;
/** Below this length a slice is copied by the engine anyway; from it on, the slice would keep the whole document alive. */
const sliceLength = 13;

/** What `readText` found: the characters, and whether they are no more than the white space between elements. */
export interface ScannedText {
  readonly text: string;
  readonly blank: boolean;
}

/**
 * Reads the tags and the character data of one XML 1.0 document, front to back, once. No DTD: a DOCTYPE is refused, so the only
 * entities are the five predefined ones and numeric references, and nothing can expand. Attributes are checked and ignored.
 */
export class XmlScanner {
  readonly text: string;
  readonly limits: WireLimits;
  at = 0;
  #nodes = 0;
  readonly #hasReferences: boolean;
  readonly #hasCr: boolean;
  readonly #hasSectionEnd: boolean;

  constructor(text: string, limits: WireLimits) {
    this.text = text;
    this.limits = limits;
    const bad = text.search(forbidden);
    if (bad >= 0) throw new WireError('bad-xml', 'a character that XML does not allow', bad);
    this.#hasReferences = text.includes('&');
    this.#hasCr = text.includes('\r');
    this.#hasSectionEnd = text.includes(']]>');
    if (text.startsWith('<?xml') && /[ \t\r\n]/.test(text.charAt(5))) this.#skipDeclaration();
  }

  fail(what: string, offset: number = this.at, code: WireErrorCode = 'bad-xml'): never {
    throw new WireError(code, what, offset);
  }

  /** Counts a value or a member. */
  node(): void {
    this.#nodes++;
    if (this.#nodes > this.limits.maxNodes) this.fail(`more than ${this.limits.maxNodes} values`, this.at, 'too-large');
  }

  /** Skips white space, comments and processing instructions. */
  skipMisc(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code === 0x20 || code === 0x0a || code === 0x09 || code === 0x0d) this.at++;
      else if (code !== 0x3c || !this.#skipMarkup()) return;
    }
  }

  /** Skips a comment or a processing instruction at the current `<`; false when there is none. */
  #skipMarkup(): boolean {
    const next = this.text.charCodeAt(this.at + 1);
    if (next === 0x21) {
      if (!this.text.startsWith('<!--', this.at)) {
        if (this.text.startsWith('<!DOCTYPE', this.at)) this.fail('a document type is not accepted');
        return false;
      }
      const end = this.text.indexOf('--', this.at + 4);
      if (end < 0 || this.text.charCodeAt(end + 2) !== 0x3e) this.fail('comment without end');
      this.at = end + 3;
      return true;
    }
    if (next !== 0x3f) return false;
    const end = this.text.indexOf('?>', this.at + 2);
    if (end < 0) this.fail('processing instruction without end');
    const target = this.#nameAt(this.at + 2);
    if (target.toLowerCase() === 'xml') this.fail('XML declaration not at the start');
    const after = this.text.charCodeAt(this.at + 2 + target.length);
    if (this.at + 2 + target.length !== end && !isSpace(after)) this.fail('bad processing instruction');
    this.at = end + 2;
    return true;
  }

  #skipDeclaration(): void {
    const declaration =
      /^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.\d+"|'1\.\d+')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([\w.-]+)"|'([\w.-]+)'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>/;
    const match = declaration.exec(this.text.slice(0, 256));
    if (match === null) this.fail('bad XML declaration');
    const encoding = (match[1] ?? match[2] ?? 'utf-8').toLowerCase();
    if (!/^(?:utf-?8|us-ascii|ascii)$/.test(encoding)) this.fail(`encoding ${encoding} is not accepted`);
    this.at = match[0].length;
  }

  #nameAt(at: number): string {
    nameText.lastIndex = at;
    const match = nameText.exec(this.text);
    if (match === null) this.fail('a name was expected', at);
    if (match[0].length > 256) this.fail('a name is too long', at);
    return match[0];
  }

  /** Whether an element starts here; not so when an end tag, text or the end of the document comes next. */
  get atElement(): boolean {
    if (this.text.charCodeAt(this.at) !== 0x3c) return false;
    const next = this.text.charCodeAt(this.at + 1);
    return next !== 0x2f && !Number.isNaN(next);
  }

  /** The name of the element that starts here, `undefined` when none does. */
  peekElement(): string | undefined {
    return this.atElement ? this.#nameAt(this.at + 1) : undefined;
  }

  /** Passes the start tag of `name`, which `peekElement` has just seen or must be there. True when the element is empty (`<a/>`). */
  open(name: string): boolean {
    const start = this.at;
    if (this.text.charCodeAt(start) !== 0x3c || !this.text.startsWith(name, start + 1))
      this.fail(`<${name}> was expected`);
    let at = start + 1 + name.length;
    if (this.text.charCodeAt(at) === 0x3e) {
      this.at = at + 1;
      return false;
    }
    if (this.#nameAt(start + 1) !== name) this.fail(`<${name}> was expected`);
    at = this.#skipAttributes(at);
    while (isSpace(this.text.charCodeAt(at))) at++;
    const empty = this.text.charCodeAt(at) === 0x2f;
    if (empty) at++;
    if (this.text.charCodeAt(at) !== 0x3e) this.fail(`bad start tag <${name}>`);
    this.at = at + 1;
    return empty;
  }

  #skipAttributes(from: number): number {
    let at = from;
    const seen: string[] = [];
    for (;;) {
      attribute.lastIndex = at;
      const match = attribute.exec(this.text);
      if (match === null) return at;
      const [whole, name = '', value = ''] = match;
      if (seen.includes(name) || seen.length >= maxAttributes) this.fail(`attribute ${name} repeated, or too many`, at);
      if (value.includes('&')) this.#expand(value, at);
      seen.push(name);
      at += whole.length;
    }
  }

  /** Passes the end tag of `name`, which must be here. */
  close(name: string): void {
    const { text, at } = this;
    if (text.charCodeAt(at) !== 0x3c || text.charCodeAt(at + 1) !== 0x2f || !text.startsWith(name, at + 2)) {
      this.fail(`</${name}> was expected`);
    }
    let end = at + 2 + name.length;
    while (isSpace(text.charCodeAt(end))) end++;
    if (text.charCodeAt(end) !== 0x3e) this.fail(`</${name}> was expected`);
    this.at = end + 1;
  }

  /** The character data up to the next start or end tag: text, CDATA sections, references; comments and instructions left out. */
  readText(): ScannedText {
    let start = this.at;
    let text = '';
    let section = false;
    for (;;) {
      const end = this.text.indexOf('<', start);
      if (end < 0) this.fail('the document ends inside an element', this.text.length);
      this.at = end;
      const piece = start === end ? '' : this.#data(start, end);
      text = text === '' ? piece : text + piece;
      if (this.text.startsWith('<![CDATA[', end)) {
        section = true;
        text += this.#section();
      } else if (!this.#skipMarkup()) {
        return { text, blank: !section && isBlank(text) };
      }
      start = this.at;
    }
  }

  /** The text of an element that holds nothing else, up to its end tag; the tag is passed. */
  readTextElement(name: string): string {
    const end = this.text.indexOf('<', this.at);
    // The usual case at once: one run of characters, then the end tag.
    if (end >= 0 && this.text.charCodeAt(end + 1) === 0x2f) {
      const text = this.#data(this.at, end);
      this.at = end;
      this.close(name);
      return text;
    }
    const { text } = this.readText();
    this.close(name);
    return text;
  }

  #section(): string {
    const start = this.at + 9;
    const end = this.text.indexOf(']]>', start);
    if (end < 0) this.fail('CDATA section without end');
    this.at = end + 3;
    return this.#plain(start, end);
  }

  #data(start: number, end: number): string {
    const text = this.#plain(start, end);
    if (this.#hasSectionEnd && text.includes(']]>')) this.fail(']]> in character data', start);
    return this.#hasReferences && text.includes('&') ? this.#expand(text, start) : text;
  }

  /** Characters as they stand, with line ends made LF, in a string of their own. */
  #plain(start: number, end: number): string {
    const text = this.text.slice(start, end);
    if (this.#hasCr && text.includes('\r')) return text.replaceAll(/\r\n?/g, '\n');
    // An engine may keep a long slice as a view of its parent: a name kept in a database would keep the whole call.
    return end - start >= sliceLength ? ` ${text}`.slice(1) : text;
  }

  #expand(text: string, offset: number): string {
    let out = '';
    let from = 0;
    for (;;) {
      const start = text.indexOf('&', from);
      if (start < 0) return out + text.slice(from);
      const end = text.indexOf(';', start);
      if (end < 0 || end - start > maxReferenceLength) this.fail('bad reference', offset + start);
      out += text.slice(from, start) + this.#referent(text.slice(start + 1, end), offset + start);
      from = end + 1;
    }
  }

  #referent(name: string, offset: number): string {
    if (/^#\d+$/.test(name)) return this.#character(parseInt(name.slice(1), 10), offset);
    if (/^#x[0-9A-Fa-f]+$/.test(name)) return this.#character(parseInt(name.slice(2), 16), offset);
    const known = Object.hasOwn(predefined, name) ? predefined[name] : undefined;
    return known ?? this.fail(`unknown entity &${name};`, offset);
  }

  #character(code: number, offset: number): string {
    const allowed =
      (code >= 0x20 && code <= 0xd7ff) ||
      code === 0x09 ||
      code === 0x0a ||
      code === 0x0d ||
      (code >= 0xe000 && code <= 0xfffd) ||
      (code >= 0x10000 && code <= 0x10ffff);
    if (!allowed) this.fail('a reference to a character that XML does not allow', offset);
    return String.fromCodePoint(code);
  }
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x09 || code === 0x0d;

const isBlank = (text: string): boolean => /^[ \t\r\n]*$/.test(text);
