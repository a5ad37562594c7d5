// The benchmark of incremental backups runs whole on a small disk: what it counts is counted at the data daemon, and the aim for bytes is one that
// no busy machine spoils. It says nothing about speed.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { aims, type IncrementalReport } from '../../bench/incremental/report';
import { useStack } from '../e2e/support/stack';
import { mib } from '../e2e/support/vms';

const limitMs = 240_000;
const stackOf = useStack();

test('npm run bench -- incremental --small', async () => {
  const { parts, engine, repository, labState, env, lab } = stackOf();
  const directory = await mkdtemp(path.join(tmpdir(), 'hf-bench-'));
  try {
    const json = path.join(directory, 'figures.json');
    const stage = { address: parts.temporal.address, namespace: parts.temporal.namespace, engine, repository, connection: parts.lab.connectionFile, labState, dir: directory, json };
    const program = path.resolve(__dirname, '../../dist/bench/incremental/main.js');
    const { stdout } = await promisify(execFile)(process.execPath, [program, '--small', ...Object.entries(stage).map(([name, value]) => `--${name}=${value}`)], { env, timeout: limitMs });
    const { changes, rounds, peer, dataBytes } = JSON.parse(await readFile(json, 'utf8')) as IncrementalReport;
    expect(changes.dirtyBytes).toBeGreaterThanOrEqual(8 * mib);
    expect(changes.readBytes).toBeGreaterThanOrEqual(8 * mib);
    expect(changes.readBytes / changes.dirtyBytes).toBeLessThanOrEqual(aims.readPerDirty);
    const [{ full, incremental, empty } = { full: undefined, incremental: undefined, empty: undefined }, ...others] = rounds;
    expect([others, peer]).toEqual([[], []]);
    expect(full?.readBytes).toBeGreaterThanOrEqual(dataBytes * 0.95);
    expect(full?.readBytes).toBeLessThanOrEqual(dataBytes * 1.2);
    expect(incremental?.readBytes).toBeLessThan(dataBytes / 1.5);
    expect(empty?.readBytes).toBe(0);
    for (const run of [full, incremental, empty]) expect(Math.min(run?.seconds ?? 0, run?.imageBytes ?? 0, run?.workingMs ?? 0)).toBeGreaterThan(0);
    expect(stdout).toContain('### incremental, step by step');
    expect(await readdir(directory)).toEqual(['figures.json']);
    expect([await lab.findVm('bench-data'), await lab.findVm('bench-empty')]).toEqual([undefined, undefined]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}, limitMs);
