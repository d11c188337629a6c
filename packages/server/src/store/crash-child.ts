/** The process that the crash suite kills: `crash-child.ts MODULE DIRECTORY`. */
import { writeSync } from 'node:fs';
import { writeUntilKilled, type StoreModule } from './crash-suite.ts';

const [moduleUrl = '', directory = ''] = process.argv.slice(2);
const { openStore } = (await import(moduleUrl)) as StoreModule;
// Straight to the pipe: a word still in a buffer of ours would be lost with us, and an acknowledgement with it.
await writeUntilKilled(openStore(directory), (n) => void writeSync(1, `${n}\n`));
