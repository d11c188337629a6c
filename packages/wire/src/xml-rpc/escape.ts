/** What may not stand as it is in character data: markup, CR (a reader would turn it into LF), characters XML 1.0 cannot hold. */
// oxlint-disable-next-line no-control-regex
const special = /[&<>\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\ud800-\udfff]/;
// oxlint-disable-next-line no-control-regex
const everySpecial = /[&<>\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

const replacement: { readonly [character: string]: string } = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#13;' };

/**
 * Text as XML character data. Control characters other than tab, LF and CR are dropped, as XAPI drops them (PROTOCOL.md §2);
 * CR is written as a character reference so that it survives; half a surrogate pair becomes U+FFFD.
 */
export function escapeXml(text: string): string {
  if (!special.test(text)) return text;
  return text.toWellFormed().replaceAll(everySpecial, (character) => replacement[character] ?? '');
}
