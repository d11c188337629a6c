/** The form of the table of commands, which help, checks and completion are all taken from. */
import type { WireValue } from '@xenolith/wire';
import type { Rpc } from './call.ts';

export interface XeOptions {
  /** Only the values, separated by commas. */
  readonly minimal: boolean;
  readonly json: boolean;
  /** Selectors may match more than one object. */
  readonly multiple: boolean;
  readonly force: boolean;
  /** Progress of tasks is shown although stderr is no terminal. */
  readonly progress: boolean;
}

/** A path of the server that data goes to or comes from, with its parameters but for the session. */
export interface ServerPath {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
}

/** What a command may do besides printing, where whoever runs it is. */
export interface Exchange {
  /**
   * The text of a file of the user's.
   * @throws UsageError when it cannot be read, or is longer than is of use
   */
  readonly readFile: (path: string) => Promise<string>;
  /**
   * Sends a file of the user's to a path of the server. That it was sent does not say that the server has done its work.
   * @throws UsageError when the file cannot be read, ApiError or ConnectionError when it could not be sent to its end
   */
  readonly upload: (to: ServerPath, file: string) => Promise<void>;
  /**
   * Writes what a path of the server gives to a file of the user's that is not there yet; to stdout when it has no name.
   * @throws UsageError when the file cannot be written, ApiError or ConnectionError when it did not come to its end
   */
  readonly download: (from: ServerPath, file: string) => Promise<void>;
  /** A line that the user types; absent where nobody can be asked. */
  readonly ask?: () => Promise<string>;
  /** Joins the user's terminal with the text console of a VM until either ends. */
  readonly attach: (vm: string) => Promise<void>;
}

/** What a command works with. */
export interface CommandContext {
  readonly name: string;
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
  readonly exchange: Exchange;
  /** Does a call as a task, with its progress on a terminal; answers what the task gave. */
  readonly task: (method: string, ...params: readonly WireValue[]) => Promise<string>;
  /** Makes a task for a transfer, and follows it like `task`; answers the XML-RPC text of what it gave. */
  readonly transfer: (label: string, begin: (task: string) => Promise<void>) => Promise<string>;
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
