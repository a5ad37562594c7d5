// A loopback port that is free and stays so while its server is away for a moment. Not one that the kernel gives: it gives the same ones to
// outgoing connections, and a part that is started again would find its port taken.
import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';

/** Below the range of outgoing connections (ip_local_port_range: 32768 and up, unless an administrator says otherwise). */
const range = [12_000, 32_000];
const tries = 100;

/** Resolves to the server that holds the port. */
export function bind(port) {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(port, '127.0.0.1', () => done(server));
  });
}

export async function bindFree() {
  for (let left = tries; ; left -= 1) {
    try {
      return await bind(left > 0 ? randomInt(...range) : 0);
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

export function letGo(server) {
  return new Promise((done) => { server.close(done); });
}
