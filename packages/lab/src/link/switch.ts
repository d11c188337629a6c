import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { PortId } from './forwarding-table.ts';
import { ForwardingTable } from './forwarding-table.ts';
import { encodeFrame, FrameDecoder } from './framing.ts';

/** Bytes a slow port may have waiting; frames for it are dropped above that, as any switch does. */
const PORT_BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
const PORTS_MAX = 64;

/** Joins QEMU's `-netdev stream` clients into one Ethernet. `onPorts` is told how many ports are in use whenever that changes. */
export function createSwitch(onPorts: (count: number) => void): Server {
  const table = new ForwardingTable();
  const ports = new Map<PortId, Socket>();
  let lastPort: PortId = 0;
  return createServer((socket) => {
    if (ports.size >= PORTS_MAX) {
      socket.destroy();
      return;
    }
    lastPort += 1;
    const port = lastPort;
    const decoder = new FrameDecoder();
    ports.set(port, socket);
    onPorts(ports.size);
    socket.on('data', (chunk) => {
      const { frames, error } = decoder.push(chunk);
      for (const frame of frames) {
        const encoded = encodeFrame(frame);
        for (const target of table.forward(frame, port, ports.keys())) {
          const out = ports.get(target);
          if (out !== undefined && out.writableLength <= PORT_BACKLOG_BYTES_MAX) out.write(encoded);
        }
      }
      if (error !== undefined) socket.destroy();
    });
    // The close that follows does the rest.
    socket.on('error', () => {});
    socket.on('close', () => {
      ports.delete(port);
      table.removePort(port);
      onPorts(ports.size);
    });
  });
}
