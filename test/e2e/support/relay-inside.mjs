// Inside a network namespace: listens on 127.0.0.1:<port> and relays each connection to a unix socket, the namespace's only way out.
// usage: node relay-inside.mjs <port> <unix socket> <file that says it listens>
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

const [port, socketPath, readyFile] = process.argv.slice(2);
createServer((inside) => {
  const outside = connect(socketPath);
  inside.pipe(outside).pipe(inside);
  for (const end of [inside, outside]) {
    end.on('error', () => {
      inside.destroy();
      outside.destroy();
    });
  }
}).listen(Number(port), '127.0.0.1', () => writeFileSync(readyFile, ''));
