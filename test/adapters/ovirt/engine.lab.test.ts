// The contract of the engine port against the lab: a program of its own that shares nothing with the client but HTTP.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createEngine } from '../../../adapters/ovirt/engine';
import { engineContract } from '../../contracts/engine.contract';
import { startLab } from './lab-program';

const program = process.env['HOLDFAST_LAB_PROGRAM'] ?? resolve(__dirname, '../../../dist/lab/main.js');

if (existsSync(program)) {
  engineContract('the lab', async () => {
    const lab = await startLab(program);
    const options = { name: 'lab', url: lab.url, username: lab.username, caFile: lab.caFile };
    return {
      engine: createEngine({ ...options, password: () => Promise.resolve(lab.password) }),
      stranger: createEngine({ ...options, password: () => Promise.resolve(`not ${lab.password}`) }),
      vmName: 'demo',
      applianceName: 'appliance',
      tearDown: lab.stop,
    };
  });
} else {
  test(`${join('dist', 'lab', 'main.js')} is built (npm run build)`, () => {
    throw new Error(`The contract runs against the lab, and ${program} does not exist.`);
  });
}
