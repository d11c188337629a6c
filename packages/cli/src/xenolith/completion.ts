/** Completion of xenolith in bash: its commands and options, from the commands themselves. */
import type { Command } from 'commander';
import { xlCommands } from '../xl/program.ts';

interface Node {
  /** The words that lead here. */
  readonly path: string;
  readonly next: readonly string[];
}

function* nodes(command: Command, path: readonly string[]): Generator<Node> {
  const options = command.options
    .flatMap(({ long, short, hidden }) => (hidden ? [] : [long ?? short ?? '']))
    .filter((option) => option !== '');
  const commands = command.commands.map((each) => each.name());
  const shells = command.name() === 'completion' ? ['bash'] : [];
  const subcommands = command.name() === 'xl' ? ['--host', ...xlCommands.map(({ name }) => name)] : [];
  yield { path: path.join(' '), next: [...commands, ...options, ...shells, ...subcommands] };
  for (const each of command.commands) yield* nodes(each, [...path, each.name()]);
}

/** The script: which words may follow which. */
export function completionScript(program: Command): string {
  const cases = [...nodes(program, [])]
    .filter(({ next }) => next.length > 0)
    .map(({ path, next }) => `    '${path}') words='${next.join(' ')}' ;;\n`)
    .join('');
  return `# bash completion of xenolith: eval "$(xenolith completion bash)"
_xenolith() {
  local word path='' words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] || path+="\${path:+ }$word"
  done
  case $path in
${cases}  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _xenolith xenolith
`;
}
