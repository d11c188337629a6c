/** A kernel and an initrd that a host fetches for one boot, by curl or wget. */
import { shellQuote } from '@xenolith/wire';
import { HostError, type FetchedBoot } from '@xenolith/xapi';
import { pathWord, scriptExit } from './host-script.ts';

/** A file takes no longer. */
const limitSeconds = 240;
/** Of 512 or 1,024 bytes, as the shell has it: between 256 and 512 MiB. */
const fileBlocksMax = 512 * 1024;

/** Only what begins so is fetched: no file of the host, no other protocol. */
const isAddress = (url: string): boolean => /^https?:\/\/[\u0021-\u007e]+$/.test(url) && url.length <= 2000;

/** Where the files are until the domain is built. */
export const fetchedPaths = (directory: string, uuid: string): FetchedBoot => ({
  kernel: `${directory}/${uuid}.kernel`,
  ramdisk: `${directory}/${uuid}.ramdisk`,
});

/**
 * Fetches both, or ends the script with {@link scriptExit.notFetched} and leaves neither. The directory is there.
 * @throws HostError bad-config for what is no address
 */
export function fetchScript(from: FetchedBoot, to: FetchedBoot): string {
  const files = [
    [from.kernel, to.kernel],
    [from.ramdisk, to.ramdisk],
  ] as const;
  const remove = `rm -f -- ${pathWord(to.kernel)} ${pathWord(to.ramdisk)}`;
  const fetches = files.map(([url, path]) => {
    if (!isAddress(url))
      throw new HostError('bad-config', `not an address to fetch from: ${JSON.stringify(url.slice(0, 200))}`);
    return `fetch ${shellQuote(url)} ${pathWord(path)}`;
  });
  return (
    `fetch() ( ulimit -f ${fileBlocksMax}; if command -v curl >/dev/null; then ` +
    `curl -fsSL --proto =http,https --proto-redir =http,https --max-time ${limitSeconds} -o "$2" "$1"; ` +
    `else timeout ${limitSeconds} wget -q -O "$2" "$1"; fi </dev/null && [ -s "$2" ] || { echo "could not fetch $1" >&2; exit 1; } ); ` +
    `${fetches.join(' && ')} || { ${remove}; exit ${scriptExit.notFetched}; }; `
  );
}
