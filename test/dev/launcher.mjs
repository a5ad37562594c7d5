// A launcher in a process of its own, for tests that kill it: `node launcher.mjs <state>`; prints a line when all serves.
import { startParts } from '../../dev/parts.mjs';
import { setup } from '../../dev/setup.mjs';

const ready = await setup({ want: ['npm', 'debian', 'temporal'] });
await startParts({ setup: ready, state: process.argv[2], only: ['temporal', 'postgres'], ports: 'free' });
console.log('serving');
setInterval(() => { /* stays until it is killed */ }, 1000);
