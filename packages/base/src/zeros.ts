/** Whether bytes are all zero. */
export function isAllZero(data: Uint8Array): boolean {
  const { length } = data;
  let at = 0;
  // Word by word where the bytes lie for it: images are gone through byte by byte otherwise.
  if (data.byteOffset % 4 === 0 && length >= 64) {
    const words = new Int32Array(data.buffer, data.byteOffset, Math.floor(length / 4));
    for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
    at = words.length * 4;
  }
  for (; at < length; at++) if (data[at] !== 0) return false;
  return true;
}
