/** The form of the table of `xl` subcommands. */
import type { Options, OptionTable } from './options.ts';
import type { XlHost } from './world.ts';

export interface XlCommand {
  readonly name: string;
  readonly usage: string;
  /** One line. */
  readonly help: string;
  readonly options: OptionTable;
  readonly wordsMin?: number;
  readonly wordsMax: number;
  run(host: XlHost, options: Options): Promise<void>;
}
