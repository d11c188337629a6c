/** The table of all commands of xe: the truth for what is run, checked, helped with and completed. */
import type { Command } from './command.ts';
import { genericCommand, genericCommands } from './generic-commands.ts';
import { objectCommands } from './object-commands.ts';
import { vmCommands } from './vm-commands.ts';

const special: ReadonlyMap<string, Command> = new Map(
  [...vmCommands, ...objectCommands].map((command) => [command.name, command]),
);

/** The command of this name. */
export const findCommand = (name: string): Command | undefined => special.get(name) ?? genericCommand(name);

/** Every command, by name. */
export const commands = (): readonly Command[] =>
  [...special.values(), ...genericCommands()].sort((a, b) => (a.name < b.name ? -1 : 1));
