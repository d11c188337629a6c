import { bytes } from '@xenolith/base';
import { shellQuote } from '@xenolith/wire';
import { HostError, type HostFile, type HostFiles, type ImagePiece } from '@xenolith/xapi';
import { commandFailure, pathWord, scriptExit, scriptHead, surviveHangup } from './host-script.ts';
import type { CommandResult, Transport } from './transport.ts';

const quickLimitMs = 60_000;
/** A disk image of a terabyte at 150 MB/s. */
const copyLimitMs = 2 * 3600 * 1000;

/** Files on a host through its own coreutils. */
export function xlFiles(transport: Transport): HostFiles {
  const run = async (
    command: string,
    text: string,
    limits: { readonly timeLimitMs: number; readonly lane: 'look' | 'work' },
    fine: readonly number[] = [0],
  ): Promise<CommandResult> => {
    const result = await transport.run({ text: scriptHead + surviveHangup + text, ...limits });
    if (!fine.includes(result.exitCode)) throw commandFailure(command, result);
    return result;
  };
  const quick = { timeLimitMs: quickLimitMs, lane: 'work' } as const;
  return {
    async space(directory) {
      const word = pathWord(directory);
      const text = `mkdir -p -- ${word} && df -B1 --output=size,avail -- ${word}`;
      const { stdout } = await run(`df ${directory}`, text, quick);
      const [totalBytes, freeBytes] = numbers(/^\s*(\d+)\s+(\d+)\s*$/m, stdout, 'df');
      return { totalBytes: bytes(totalBytes), freeBytes: bytes(freeBytes) };
    },
    async createImage(path, sizeBytes) {
      const word = pathWord(path);
      // With noclobber the shell opens with O_EXCL: of two that try, one succeeds. Not `:`, whose failure ends the shell.
      const text =
        `set -C; { true >${word}; } 2>/dev/null || { if [ -e ${word} ]; then echo "File exists" >&2; ` +
        `exit ${scriptExit.exists}; fi; true >${word}; exit 1; }; ` +
        `truncate -s ${sizeBytes} -- ${word} || { rm -f -- ${word}; exit 1; }`;
      await run(`truncate ${path}`, text, quick);
    },
    async copyImage(from, to) {
      const [source, target, part] = [pathWord(from), pathWord(to), pathWord(copying(to))];
      const text =
        `[ -e ${target} ] && { echo "File exists" >&2; exit ${scriptExit.exists}; }; ` +
        `cp --reflink=auto --sparse=always -- ${source} ${part} && mv -T -- ${part} ${target} || { rm -f -- ${part}; exit 1; }`;
      await run(`cp ${from} ${to}`, text, { timeLimitMs: copyLimitMs, lane: 'work' });
    },
    async replaceImage(from, to, sizeBytes) {
      const [source, target, part] = [pathWord(from), pathWord(to), pathWord(copying(to))];
      // The new name has been the old one's all along, so it is not made where nothing was.
      const text =
        `[ -f ${target} ] || { echo "No such file" >&2; exit 1; }; ` +
        `cp --reflink=auto --sparse=always -- ${source} ${part} && truncate -s ${sizeBytes} -- ${part} && ` +
        `mv -T -- ${part} ${target} || { rm -f -- ${part}; exit 1; }`;
      await run(`cp ${from} ${to}`, text, { timeLimitMs: copyLimitMs, lane: 'work' });
    },
    async resizeImage(path, sizeBytes) {
      const word = pathWord(path);
      const text =
        `s=$(stat -L -c %s -- ${word}) || exit 1; ` +
        `[ "$s" -le ${sizeBytes} ] || { echo "it is larger already: $s bytes" >&2; exit ${scriptExit.wouldShrink}; }; ` +
        `truncate -s ${sizeBytes} -- ${word}`;
      await run(`truncate ${path}`, text, quick);
    },
    async *readImage(path) {
      const pipe = await transport.pipe(`${scriptHead}exec cat -- ${pathWord(path)}`);
      let whole = false;
      try {
        pipe.end();
        yield* pipe.output;
        const result = await pipe.ended;
        if (result.exitCode !== 0) throw commandFailure(`cat ${path}`, result);
        whole = true;
      } finally {
        if (!whole) pipe.kill();
      }
    },
    async writeImage(path, pieces) {
      const pipe = await transport.pipe(scriptHead + writeScript(path));
      let over = false;
      // It says nothing; but a channel is only over once its output was taken to its end.
      const silence = (async () => {
        for await (const _ of pipe.output);
      })().finally(() => (over = true));
      silence.catch(() => undefined);
      let given = false;
      try {
        for await (const piece of pieces) {
          if (over) break;
          await pipe.write(pieceHead(piece));
          if ('data' in piece) await pipe.write(piece.data);
        }
        await pipe.write(new TextEncoder().encode('e 0 0\n'));
        pipe.end();
        given = true;
      } finally {
        // The end of its input without the last word tells the script to give up, after what it has.
        if (!given) {
          pipe.end();
          pipe.kill();
          await pipe.ended.catch(() => undefined);
        }
      }
      const result = await pipe.ended;
      if (result.exitCode !== 0) throw commandFailure(`dd ${path}`, result);
    },
    async remove(path) {
      // A copy that a manager left running finds its file gone when it would give it its name, and gives up.
      await run(`rm ${path}`, `rm -f -- ${pathWord(path)} ${pathWord(copying(path))}`, quick);
    },
    async stat(path) {
      const word = pathWord(path);
      const text = `[ -e ${word} ] || exit ${scriptExit.absent}; stat -L -c '%s %b %B' -- ${word}`;
      const result = await run(`stat ${path}`, text, quick, [0, scriptExit.absent]);
      if (result.exitCode !== 0) return undefined;
      const [size, blocks, blockBytes] = numbers(/^(\d+) (\d+) (\d+)$/m, result.stdout, 'stat');
      return { sizeBytes: bytes(size), usedBytes: bytes(blocks * blockBytes) };
    },
    async list(directory) {
      const word = pathWord(directory);
      // A file that goes between the finding and the looking is no failure; one that is there and cannot be looked at is.
      const look =
        `stat -L -c '%s %b %B %n' -- "$@" 2>/dev/null || ` +
        `for f do [ ! -e "$f" ] || stat -L -c '' -- "$f" >/dev/null || exit 1; done`;
      const text =
        `[ -d ${word} ] || exit ${scriptExit.absent}; cd -- ${word} && ` +
        `find -L . -maxdepth 1 -type f ! -name '*[[:cntrl:]]*' -exec sh -c ${shellQuote(look)} sh {} +`;
      const result = await run(`find ${directory}`, text, quick, [0, scriptExit.absent]);
      return result.exitCode === 0 ? result.stdout.split('\n').slice(0, -1).map(listedFile) : [];
    },
  };
}

/**
 * Takes pieces from its standard input: a line that says what follows, where and how much, and the bytes. It reads no
 * further than it must: `read` byte by byte, and dd as many as the line says. Zeros become a hole where the file system can.
 * Its success means that the file has everything, on the disk.
 */
function writeScript(path: string): string {
  const word = pathWord(path);
  const dd = `dd of=${word} bs=1M oflag=seek_bytes conv=notrunc status=none`;
  return (
    `[ -f ${word} ] || { echo "No such file or directory" >&2; exit 1; }; while read -r kind at count; do case $kind in ` +
    `d) ${dd} iflag=fullblock,count_bytes seek=$at count=$count || exit 1;; ` +
    `z) fallocate -p -o $at -l $count ${word} 2>/dev/null || ` +
    `${dd} if=/dev/zero iflag=count_bytes seek=$at count=$count || exit 1;; ` +
    `e) sync ${word} && exit 0; exit 1;; *) exit 1;; esac; done; echo "the stream ended early" >&2; exit 1`
  );
}

const pieceHead = (piece: ImagePiece): Uint8Array =>
  new TextEncoder().encode(
    'data' in piece ? `d ${piece.offset} ${piece.data.length}\n` : `z ${piece.offset} ${piece.zeroBytes}\n`,
  );

/** Where a copy is until it is whole. Not what a save uses: that one must survive a `remove` of its name. */
const copying = (path: string): string => `${path}.copying`;

function listedFile(line: string): HostFile {
  const match = /^(\d+) (\d+) (\d+) \.\/([^/]+)$/.exec(line);
  if (match === null) throw new HostError('command-failed', `find gave something else: ${line.slice(0, 200)}`);
  const [, size, blocks, blockBytes, name = ''] = match;
  return { name, sizeBytes: bytes(Number(size)), usedBytes: bytes(Number(blocks) * Number(blockBytes)) };
}

function numbers(pattern: RegExp, text: string, command: string): readonly [number, number, number] {
  const match = pattern.exec(text);
  if (match === null) throw new HostError('command-failed', `${command} gave something else: ${text.slice(0, 200)}`);
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}
