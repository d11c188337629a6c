/** The form of the table of commands, which help, checks and completion are all taken from. */
import type { WireValue } from '@xenolith/wire';
import type { XeOptions } from './arguments.ts';
import type { Rpc } from './rpc.ts';

/** What a command works with. */
export interface CommandContext {
  readonly rpc: Rpc;
  readonly options: XeOptions;
  readonly values: ReadonlyMap<string, string>;
  /** The value of a key that the table requires. */
  readonly required: (key: string) => string;
  /** Prints a line; with `--json` the line is a value. */
  readonly print: (line: string) => void;
  /** Gives a value for `--json`: one command prints one value, several are put into an array. */
  readonly give: (value: unknown) => void;
  /** Prints text as it stands, with its own ends of lines. */
  readonly write: (text: string) => void;
  /** Whether people read what is printed. */
  readonly outIsTerminal: boolean;
  /** Does a call as a task, with its progress on a terminal; answers what the task gave. */
  readonly task: (method: string, ...params: readonly WireValue[]) => Promise<string>;
}

export interface Command {
  readonly name: string;
  /** One line. */
  readonly help: string;
  readonly required: readonly string[];
  /** A key that ends in `:` is the beginning of keys such as `device-config:path`. */
  readonly optional: readonly string[];
  /** The object that may also be chosen by its fields: `uuid=`, `vm=NAME`, `power-state=…`. */
  readonly selects?: string;
  /** Any key is taken: the fields of an object. */
  readonly anyKey?: true;
  run(context: CommandContext): Promise<void>;
}
