/** Text as the bytes of a plain terminal: ASCII as it is, every other character as a question mark. */
export const consoleText = (text: string): Uint8Array =>
  Uint8Array.from(Array.from(text), (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x80 ? code : 0x3f;
  });
