// The contract of adapters/imageio against the real ovirt-imageio daemon, over TLS and over its unix socket, and what only it can show.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyBlocks } from '../../../adapters/blocks';
import { openImageioReader, openImageioWriter, type ImageioOptions } from '../../../adapters/imageio';
import { freePort } from '../../support/ports';
import { MiB, never, qemuImg, useDirectory } from '../blocks/support';
import { factsOf, newCase, newRepository, ovf, settingsOf, unsealed, type Case } from '../repository/support';
import { all, describeImageio, newDisk } from './imageio.contract';
import { startRealDaemon, type RealDaemon } from './real-daemon';
import type { StandTicket } from './stand';

const directory = useDirectory();
let daemon: RealDaemon;
beforeAll(async () => {
  daemon = await startRealDaemon(join(directory.path, 'd'));
}, 120_000);
afterAll(async () => {
  await daemon.stop();
});

describe('over TLS', () => {
  describeImageio(() => ({ ...daemon, options: { ...daemon.options, unixSocket: 'never' } }), () => directory.path, 'tcp');
});

describe('over the unix socket', () => {
  describeImageio(() => daemon, () => directory.path, 'socket');
});

const optionsFor = (ticket: StandTicket, more: Partial<ImageioOptions> = {}): ImageioOptions => ({ transferUrl: ticket.transferUrl, label: 'disk X', sizeBytes: ticket.sizeBytes, ...daemon.options, ...more });

it('the file backend knows of no holes: one extent of data', async () => {
  const { raw } = newDisk(directory.path);
  const ticket = await daemon.ticket({ image: raw, op: 'read', asFile: true });
  const source = await openImageioReader(optionsFor(ticket));
  expect(await all(source.extents(4096))).toEqual([{ start: 4096, length: ticket.sizeBytes - 4096, zero: false }]);
  await source.close();
});

it('trusts the configured CA and no other', async () => {
  const ticket = await daemon.ticket({ image: newDisk(directory.path).image, op: 'read' });
  await expect(openImageioReader(optionsFor(ticket, { caFile: daemon.otherCaFile }))).rejects.toMatchObject({ code: 'imageio.certificate' });
  await (await openImageioReader(optionsFor(ticket, { caFile: daemon.otherCaFile, insecure: true }))).close();
  await expect(openImageioReader(optionsFor(ticket, { caFile: join(directory.path, 'missing.pem') }))).rejects.toMatchObject({ code: 'config.invalid' });
  await expect(openImageioReader(optionsFor(ticket, { transferUrl: ticket.transferUrl.replace('https:', 'http:') }))).rejects.toMatchObject({ code: 'imageio.refused' });
});

it('takes the proxy when the host cannot be reached, and only then', async () => {
  const ticket = await daemon.ticket({ image: newDisk(directory.path).image, op: 'read' });
  const nowhere = `https://127.0.0.1:${await freePort()}/images/${ticket.uuid}`;
  const source = await openImageioReader(optionsFor(ticket, { transferUrl: nowhere, proxyUrl: ticket.transferUrl }));
  await source.read(0, Buffer.alloc(512));
  await source.close();
  await expect(openImageioReader(optionsFor(ticket, { transferUrl: nowhere }))).rejects.toMatchObject({ code: 'imageio.unreachable' });
  await ticket.cancel();
  await expect(openImageioReader(optionsFor(ticket, { proxyUrl: nowhere }))).rejects.toMatchObject({ code: 'imageio.ticket-gone' });
});

it('the copy engine backs up in full, then what changed, and restores both through the daemon; the host bears witness each time', async () => {
  const { image, content } = newDisk(directory.path);
  const { repository } = await newRepository(directory.path);
  const [full, later] = [newCase(), newCase()];
  const top = { ...later, diskId: full.diskId, ref: { ...full.ref, backupId: later.ref.backupId } };
  const backUp = async (what: Case, ticket: StandTicket, base: Case | undefined): Promise<{ root: string; dataBytes: number }> => {
    const source = await openImageioReader(optionsFor(ticket));
    await repository.saveConfiguration(what.ref, ovf, [settingsOf(what.diskId, ticket.sizeBytes)]);
    const target = await repository.openPartialImage(what.ref, what.diskId, ticket.sizeBytes, { owner: 'test', source: ticket.uuid, ...(base === undefined ? {} : { baseBackupId: base.ref.backupId }) });
    const { root, dataBytes } = await copyBlocks({
      reader: source,
      writer: target.writer,
      sink: target.sink,
      ...(target.base === undefined ? {} : { since: { ...target.base, changes: (from, signal) => source.changes(from, signal) } }),
      fromBytes: 0,
      dataBytesBefore: 0,
      onDurable: (figures) => target.recordDurable(figures.positionBytes, figures.dataBytes),
      signal: never,
    });
    expect(await source.checksum()).toBe(root);
    await source.close();
    await target.close();
    await repository.seal(what.ref, { ...unsealed(what), method: 'transfer', ...(base === undefined ? {} : { kind: 'incremental', base: { backupId: base.ref.backupId } }) }, [{ ...factsOf(what.diskId, ticket.sizeBytes), transport: source.transport }], 'now');
    await ticket.end();
    return { root, dataBytes };
  };
  await backUp(full, await daemon.ticket({ image, op: 'read' }), undefined);
  qemuImg('bitmap', '--add', '-g', '65536', image, 'since');
  execFileSync('qemu-io', ['-c', `write -q -P 7 ${6 * MiB + 100} 5000`, '-c', `write -q -z ${9 * MiB} 256k`, image]);
  content.fill(7, 6 * MiB + 100, 6 * MiB + 5100).fill(0, 9 * MiB, 9 * MiB + 256 * 1024);
  const { root, dataBytes } = await backUp(top, await daemon.ticket({ image, op: 'read', bitmap: 'since' }), full);
  expect(dataBytes).toBe(65536);
  const blank = join(directory.path, 'target.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', blank, String(content.length));
  const upload = await daemon.ticket({ image: blank, op: 'write' });
  const target = await openImageioWriter({ ...optionsFor(upload), blank: true });
  const saved = await repository.openImage(top.ref, top.diskId);
  await copyBlocks({ reader: saved, writer: target, expected: await repository.openDigests(top.ref, top.diskId), fromBytes: 0, dataBytesBefore: 0, onDurable: () => Promise.resolve(), signal: never });
  expect(await target.checksum()).toBe(root);
  await saved.close();
  await target.close();
  expect(readFileSync(await upload.content()).equals(content)).toBe(true);
});

it('a daemon that is killed in the middle is a failure that is tried again; then it cannot be reached', async () => {
  const ticket = await daemon.ticket({ image: newDisk(directory.path).image, op: 'read' });
  const source = await openImageioReader(optionsFor(ticket, { unixSocket: 'never' }));
  const reads = Array.from({ length: 40 }, (_, at) => source.read((at % 12) * MiB, Buffer.alloc(2 * MiB)));
  const ended = Promise.allSettled(reads);
  await reads[0];
  await daemon.kill();
  const codes = new Set((await ended).flatMap((each) => (each.status === 'rejected' ? [(each.reason as { code: string }).code] : [])));
  expect(codes.size).toBeGreaterThan(0);
  for (const code of codes) expect(['imageio.io', 'imageio.unreachable']).toContain(code);
  await source.close();
  await expect(openImageioReader(optionsFor(ticket))).rejects.toMatchObject({ code: 'imageio.unreachable' });
});
