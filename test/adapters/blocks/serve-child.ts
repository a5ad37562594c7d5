// A process that starts an image server, tells its pid, and waits to be killed (image-server.test.ts).
import { startImageServer } from '../../../adapters/blocks/image-server';

async function main(): Promise<void> {
  const server = await startImageServer({ file: process.argv[2] ?? '', format: 'qcow2', readOnly: false, label: 'an image', transport: 'socket' });
  process.stdout.write(`${server.process.pid} ${server.process.startTicks}\n`);
  setInterval(() => undefined, 60_000);
}

void main();
