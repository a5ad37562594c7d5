// A TCP port that is free right now on the loopback address, for servers that cannot choose one themselves.
import type { AddressInfo } from 'node:net';

export async function freePort(): Promise<number> {
  const { bindFree, letGo } = await import('../../dev/parts/free-port.mjs');
  const server = await bindFree();
  const { port } = server.address() as AddressInfo;
  await letGo(server);
  return port;
}
