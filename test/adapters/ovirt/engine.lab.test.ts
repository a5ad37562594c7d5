// The contract of the engine port against the lab: a program of its own that shares nothing with the client but HTTP.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEngine } from '../../../adapters/ovirt/engine';
import { engineContract } from '../../contracts/engine.contract';
import { startLab, tokenIdleSeconds } from './lab-program';

const program = process.env['HOLDFAST_LAB_PROGRAM'] ?? resolve(__dirname, '../../../dist/lab/main.js');

if (existsSync(program)) {
  engineContract('the lab', async () => {
    const lab = await startLab(program);
    const reader = lab.limitedUsers[0];
    if (reader === undefined) throw new Error('the lab names no user who may only read');
    const connect = (username: string, password: string): ReturnType<typeof createEngine> =>
      createEngine({ name: 'lab', url: lab.url, caFile: lab.caFile, username, password: () => Promise.resolve(password) });
    return {
      engine: connect(lab.username, lab.password),
      stranger: connect(lab.username, `not ${lab.password}`),
      reader: connect(reader.username, reader.password),
      letTokenExpire: () => sleep(tokenIdleSeconds * 1000 + 200),
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
