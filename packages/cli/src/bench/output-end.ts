/** The end of what a command says. */

/** Characters of the end of a command's output that are looked at. */
const outputMax = 1024 * 1024;

export interface OutputEnd {
  /** Cheap, however much is said and in however small pieces: a command is measured meanwhile, often on the same CPUs. */
  readonly add: (text: string) => void;
  /** The last `most` characters of it. */
  readonly text: () => string;
  /** Characters that are kept: what is before the last `most` is cut off when it has become as long. */
  readonly length: number;
}

export function outputEnd(most = outputMax): OutputEnd {
  let said = '';
  return {
    add(text) {
      said += text;
      if (said.length > 2 * most) said = said.slice(-most);
    },
    text: () => said.slice(-most),
    get length() {
      return said.length;
    },
  };
}
