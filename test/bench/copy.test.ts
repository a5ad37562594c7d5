// The copy benchmark runs whole on a small disk: every contender's copy is compared with the source, our digests with a count of their own, and
// nothing stays behind. It says nothing about speed.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { CopyReport } from '../../bench/copy/report';
import { setUp } from '../e2e/support/stack';

const limitMs = 240_000;

test('npm run bench -- copy --small', async () => {
  const { env } = await setUp();
  const directory = await mkdtemp(path.join(tmpdir(), 'hf-bench-'));
  try {
    const json = path.join(directory, 'figures.json');
    const program = path.resolve(__dirname, '../../dist/bench/copy/main.js');
    const { stdout } = await promisify(execFile)(process.execPath, [program, '--small', '--dir', directory, '--json', json, '--only', 'Holdfast|SHA-256'], { env, timeout: limitMs });
    const report = JSON.parse(await readFile(json, 'utf8')) as CopyReport;
    expect(report.results.map(({ source, name, runs }) => [source, name, runs.length])).toEqual([
      ['nbd', 'Holdfast', 1],
      ['nbd', 'qemu-img convert, then SHA-256', 1],
      ['device', 'Holdfast', 1],
      ['device', 'qemu-img convert, then SHA-256', 1],
    ]);
    for (const run of report.results.flatMap(({ runs }) => runs)) expect(Math.min(run.seconds, run.cpuSeconds, run.ownPeakBytes)).toBeGreaterThan(0);
    expect(stdout).toContain('### From a device');
    expect(await readdir(directory)).toEqual(['figures.json']);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}, limitMs);
