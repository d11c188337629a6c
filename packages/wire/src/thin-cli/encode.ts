import { familyTag, kindTag, thinCliMagic, thinCliVersion, type ThinCliMessage } from './message.ts';

/** The standard encoder of browsers and Node; declared here because the pure rooms see neither's types. */
declare const TextEncoder: new () => { encode(text: string): Uint8Array };

const encoder = new TextEncoder();

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function string(text: string): readonly Uint8Array[] {
  const bytes = encoder.encode(text);
  return [int32(bytes.length), bytes];
}

function body(message: ThinCliMessage): readonly Uint8Array[] {
  switch (message.kind) {
    case 'print':
    case 'print-stderr':
    case 'debug':
      return string(message.text);
    case 'load':
      return string(message.file);
    case 'exit':
      return [int32(message.code)];
    case 'error':
      return [...string(message.code), int32(message.params.length), ...message.params.flatMap(string)];
    case 'http-get':
    case 'http-put':
      return [...string(message.file), ...string(message.url)];
    case 'http-connect':
      return string(message.url);
    case 'chunk':
      return [int32(message.bytes)];
    default:
      return [];
  }
}

function familyOf({ kind }: ThinCliMessage): number {
  if (kind === 'ok' || kind === 'failed' || kind === 'wait') return familyTag.response;
  return kind === 'chunk' || kind === 'end' ? familyTag.blob : familyTag.command;
}

/** What either side sends first. */
export const thinCliHello = (): Uint8Array =>
  joined([encoder.encode(thinCliMagic), int32(thinCliVersion.major), int32(thinCliVersion.minor)]);

/** A message in its frame. The bytes of a chunk are sent after it by who has them. */
export function encodeThinCli(message: ThinCliMessage): Uint8Array {
  const payload = [int32(familyOf(message)), int32(kindTag[message.kind]), ...body(message)];
  return joined([int32(payload.reduce((sum, { length }) => sum + length, 0)), ...payload]);
}
