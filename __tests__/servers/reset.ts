import type { Socket } from 'node:net';

/**
 * Breaks a connection with RST. One whose end is on its way already is closed instead: libuv refuses to reset it, and
 * Node 20 would then wait at its own exit, for ever and busily, for a handle that nobody closes.
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
