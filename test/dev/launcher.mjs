// A launcher in a process of its own, for tests that end it: `node launcher.mjs <state>`; prints a line when all serves.
import { startAndStay } from '../../dev/parts/options.mjs';
import { startParts } from '../../dev/parts.mjs';
import { setup } from '../../dev/setup.mjs';

const ready = await setup({ want: ['npm', 'debian', 'temporal'] });
const start = () => startParts({ setup: ready, state: process.argv[2], only: ['temporal', 'postgres'], ports: 'free' });
await startAndStay(start, () => console.log('serving'));
