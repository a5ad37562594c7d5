// What holds for every data daemon, over every way to it. The judge is qemu-img.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openImageioReader, openImageioWriter, type ImageioOptions, type ImageioReader, type ImageioWriter } from '../../../adapters/imageio';
import type { Change, Extent } from '../../../domain/extents';
import { independentDigests, MiB, qemuImg, rawDisk, until } from '../blocks/support';
import type { Stand, StandTicket, TicketRequest } from './stand';

/** A short last block, data, holes, and zeroes that were written. */
const sizeBytes = 24 * MiB + 512 * 1024;

export interface Disk {
  readonly image: string;
  readonly raw: string;
  readonly content: Buffer;
}

let serial = 0;
let first: Disk | undefined;
/** Copies of one disk: images of their own, for writers. */
export function newDisk(directory: string): Disk {
  const model = (first ??= makeDisk(join(directory, 'model.qcow2')));
  const image = join(directory, `disk-${serial++}.qcow2`);
  execFileSync('cp', ['--sparse=always', model.image, image]);
  execFileSync('cp', ['--sparse=always', model.raw, `${image}.raw`]);
  return { image, raw: `${image}.raw`, content: Buffer.from(model.content) };
}

function makeDisk(image: string): Disk {
  const content = rawDisk(`${image}.raw`, sizeBytes, [
    { start: 0, bytes: randomBytes(MiB) },
    { start: 5 * MiB + 4096, bytes: randomBytes(8 * MiB) },
    { start: sizeBytes - 4096, bytes: randomBytes(4096) },
  ]);
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', `${image}.raw`, image);
  execFileSync('qemu-io', ['-c', `write -q -z ${20 * MiB} ${MiB}`, image]);
  return { image, raw: `${image}.raw`, content };
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const dataOf = (extents: readonly Extent[]): (readonly [number, number])[] => extents.filter((each) => !each.zero).map(({ start, length }) => [start, length] as const);
const changedOf = (changes: readonly Change[]): (readonly [number, number])[] => {
  const runs: [number, number][] = [];
  for (const { start, length } of changes.filter((each) => each.changed)) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === start) last[1] += length;
    else runs.push([start, length]);
  }
  return runs;
};

export function describeImageio(stand: () => Stand, directory: () => string, transport: 'socket' | 'tcp'): void {
  const open: (ImageioReader | ImageioWriter)[] = [];
  let tickets: StandTicket[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
    for (const each of tickets.splice(0)) await each.end();
  });
  const ticketOn = async (request: TicketRequest): Promise<StandTicket> => {
    const ticket = await stand().ticket(request);
    tickets = [...tickets, ticket];
    return ticket;
  };
  const optionsFor = (ticket: StandTicket, more: Partial<ImageioOptions> = {}): ImageioOptions => ({ transferUrl: ticket.transferUrl, label: 'disk X', sizeBytes: ticket.sizeBytes, ...stand().options, ...more });
  const reader = async (ticket: StandTicket, more: Partial<ImageioOptions> = {}): Promise<ImageioReader> => {
    const opened = await openImageioReader(optionsFor(ticket, more));
    open.push(opened);
    return opened;
  };
  const writer = async (ticket: StandTicket, more: Partial<ImageioOptions> = {}): Promise<ImageioWriter> => {
    const opened = await openImageioWriter(optionsFor(ticket, more));
    open.push(opened);
    return opened;
  };

  it('reads what qemu-img reads: many ranges at once, into shared memory', async () => {
    const disk = newDisk(directory());
    const source = await reader(await ticketOn({ image: disk.image, op: 'read' }));
    expect(source).toMatchObject({ transport, sizeBytes });
    const memory = new Uint8Array(new SharedArrayBuffer(sizeBytes)).fill(0xee);
    const step = 300 * 1024;
    await Promise.all(Array.from({ length: Math.ceil(sizeBytes / step) }, (_, at) => source.read(at * step, memory.subarray(at * step, Math.min(sizeBytes, (at + 1) * step)))));
    expect(Buffer.compare(memory, disk.content)).toBe(0);
  });

  it('lists the extents that qemu-img maps, from any byte on', async () => {
    const disk = newDisk(directory());
    const source = await reader(await ticketOn({ image: disk.image, op: 'read' }));
    const map = (JSON.parse(qemuImg('map', '-U', '--output=json', disk.image)) as { start: number; length: number; zero: boolean }[]).map(({ start, length, zero }) => ({ start, length, zero }));
    const extents = await all(source.extents(0));
    expect(dataOf(extents)).toEqual(changedOf(map.map((each) => ({ ...each, changed: !each.zero }))));
    const from = 6 * MiB;
    const rest = await all(source.extents(from));
    expect(rest[0]?.start).toBe(from);
    expect(rest.slice(1)).toEqual(extents.filter((each) => each.start > from));
    expect(await all(source.extents(sizeBytes))).toEqual([]);
  });

  it('lists the changes that the bitmap has, zeroes among them, and the rest as unchanged', async () => {
    const { image } = newDisk(directory());
    qemuImg('bitmap', '--add', '-g', '65536', image, 'since');
    execFileSync('qemu-io', ['-c', 'write -q -P 7 2M 64k', '-c', 'write -q -P 8 6M 192k', '-c', 'write -q -z 7M 128k', '-c', `write -q -P 9 ${sizeBytes - 65536} 64k`, image]);
    const source = await reader(await ticketOn({ image, op: 'read', bitmap: 'since' }));
    const changes = await all(source.changes(0));
    expect(changedOf(changes)).toEqual([[2 * MiB, 65536], [6 * MiB, 3 * 65536], [7 * MiB, 2 * 65536], [sizeBytes - 65536, 65536]]);
    expect(changes.reduce((end, { start, length }) => (start === end ? start + length : NaN), 0)).toBe(sizeBytes);
    expect(changes.filter((each) => each.changed && each.zero)).toEqual([{ start: 7 * MiB, length: 2 * 65536, zero: true, changed: true }]);
  });

  it('says so when there is no list of changes', async () => {
    const source = await reader(await ticketOn({ image: newDisk(directory()).image, op: 'read' }));
    await expect(all(source.changes(0))).rejects.toMatchObject({ code: 'imageio.no-changes' });
  });

  it('writes, zeroes and flushes, from shared memory too, and qemu-img finds the same bytes', async () => {
    const disk = newDisk(directory());
    const ticket = await ticketOn({ image: disk.image, op: 'write' });
    const target = await writer(ticket);
    expect(target).toMatchObject({ transport, sizeBytes, blank: false });
    const data = new Uint8Array(new SharedArrayBuffer(3 * MiB));
    data.set(randomBytes(data.length));
    await Promise.all([0, 1, 2].map((at) => target.write(2 * MiB + at * MiB, data.subarray(at * MiB, (at + 1) * MiB))));
    await target.write(sizeBytes - 512, data.subarray(0, 512));
    await target.zero(6 * MiB, 5 * MiB + 512);
    await target.flush();
    disk.content.set(data, 2 * MiB);
    disk.content.set(data.subarray(0, 512), sizeBytes - 512);
    disk.content.fill(0, 6 * MiB, 11 * MiB + 512);
    const back = Buffer.alloc(MiB, 1);
    await target.read(2 * MiB, back);
    expect(back.equals(disk.content.subarray(2 * MiB, 3 * MiB))).toBe(true);
    await target.close();
    const raw = await ticket.content();
    expect(readFileSync(raw).equals(disk.content)).toBe(true);
  });

  it('bears witness: the checksum is the root of our digests, of a disk being read and of one being written', async () => {
    const disk = newDisk(directory());
    const { root } = independentDigests(disk.raw, 'raw');
    const reads = await ticketOn({ image: disk.image, op: 'read' });
    expect(await (await reader(reads)).checksum()).toBe(root);
    await reads.end();
    const ticket = await ticketOn({ image: disk.image, op: 'write' });
    const target = await writer(ticket);
    await target.write(0, Buffer.alloc(4096, 1));
    await target.flush();
    const witness = await target.checksum();
    await target.close();
    expect(witness).not.toBe(root);
    expect(witness).toBe(independentDigests(await ticket.content(), 'raw').root);
  });

  describe('a ticket that is gone is a failure of its own, is not tried again and is not named', () => {
    const gone = async (promise: Promise<unknown>, ticket: StandTicket): Promise<void> => {
      const error: unknown = await promise.catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'imageio.ticket-gone' });
      expect(`${(error as Error).message} ${JSON.stringify((error as { details: unknown }).details)}`).not.toContain(ticket.uuid);
    };
    it('unknown, cancelled before, or expired', async () => {
      const { image } = newDisk(directory());
      const [cancelled, expired, one] = [await ticketOn({ image, op: 'read' }), await ticketOn({ image, op: 'read' }), await ticketOn({ image, op: 'read' })];
      await cancelled.cancel();
      await expired.expire();
      const uuid = '0000dead-0000-4000-8000-000000000000';
      await gone(reader(cancelled), cancelled);
      await gone(reader(expired), expired);
      await gone(reader({ ...one, uuid, transferUrl: one.transferUrl.replace(one.uuid, uuid) }), { ...one, uuid });
    });

    it('cancelled or expired between two requests', async () => {
      const [reads, writes] = [await ticketOn({ image: newDisk(directory()).image, op: 'read' }), await ticketOn({ image: newDisk(directory()).image, op: 'write' })];
      const [source, target] = [await reader(reads), await writer(writes)];
      await source.read(0, Buffer.alloc(4096));
      await reads.cancel();
      await gone(source.read(0, Buffer.alloc(4096)), reads);
      await gone(all(source.extents(0)), reads);
      await gone(source.checksum(), reads);
      await writes.expire();
      await gone(target.zero(0, 4096), writes);
      await gone(target.flush(), writes);
      // The daemon refuses before it has read all of it: the refusal must not be lost in the broken connection.
      await gone(target.write(0, Buffer.alloc(8 * MiB)), writes);
    });
  });

  it('a ticket for reading cannot be opened for writing', async () => {
    await expect(writer(await ticketOn({ image: newDisk(directory()).image, op: 'read' }))).rejects.toMatchObject({ code: 'imageio.refused' });
  });

  it('refuses ranges outside of the disk before anything is sent, and tells when the ticket is smaller than the disk', async () => {
    const { image } = newDisk(directory());
    const source = await reader(await ticketOn({ image, op: 'read' }));
    await expect(source.read(sizeBytes - 10, Buffer.alloc(11))).rejects.toMatchObject({ code: 'imageio.refused' });
    await expect(source.read(-1, Buffer.alloc(1))).rejects.toMatchObject({ code: 'imageio.refused' });
    const small = await reader(await ticketOn({ image, op: 'read', sizeBytes: 4 * MiB }));
    await expect(small.read(4 * MiB, Buffer.alloc(4096))).rejects.toMatchObject({ code: 'imageio.refused', details: { status: 416 } });
    const grown = await reader(await ticketOn({ image, op: 'read' }), { sizeBytes: sizeBytes - 512 });
    await expect(all(grown.extents(0))).rejects.toMatchObject({ code: 'imageio.refused', message: expect.stringContaining('resized') as string });
    await expect(grown.checksum()).rejects.toMatchObject({ code: 'imageio.refused', message: expect.stringContaining(`${sizeBytes}`) as string });
    await expect(small.checksum()).rejects.toMatchObject({ code: 'imageio.refused' });
  });

  it('keeps to its number of connections', async () => {
    const ticket = await ticketOn({ image: newDisk(directory()).image, op: 'read' });
    const source = await reader(ticket, { connections: 3 });
    let most = 0;
    const look = async (): Promise<void> => {
      for (let at = 0; at < 40; at += 1) most = Math.max(most, await ticket.connections());
    };
    await Promise.all([look(), ...Array.from({ length: 60 }, (_, at) => source.read((at % 12) * MiB, Buffer.alloc(2 * MiB)))]);
    most = Math.max(most, await ticket.connections());
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(3);
  });

  it('ends at once when its signal does: every request rejects with its reason, and the connections are gone', async () => {
    const ticket = await ticketOn({ image: newDisk(directory()).image, op: 'read' });
    const source = await reader(ticket);
    const cancel = new AbortController();
    setMaxListeners(0, cancel.signal);
    const reads = Array.from({ length: 12 }, (_, at) => source.read(at * 2 * MiB, Buffer.alloc(2 * MiB), cancel.signal));
    const ended = Promise.allSettled(reads);
    cancel.abort(new Error('the operator cancelled'));
    expect((await ended).filter((each) => each.status === 'rejected').map((each) => (each.reason as Error).message)).toEqual(Array<string>(12).fill('the operator cancelled'));
    await expect(source.read(0, Buffer.alloc(512), cancel.signal)).rejects.toThrow('the operator cancelled');
    await expect(openImageioReader(optionsFor(ticket, { signal: cancel.signal }))).rejects.toThrow('the operator cancelled');
    await until(async () => (await ticket.connections()) === 0);
    const again = await reader(ticket);
    await again.read(0, Buffer.alloc(512));
    await again.close();
    await until(async () => (await ticket.connections()) === 0);
  });

  it('storage that goes away is a failure that is tried again', async () => {
    const ticket = await ticketOn({ image: newDisk(directory()).image, op: 'read' });
    const source = await reader(ticket);
    await ticket.stopStorage();
    await expect(source.read(0, Buffer.alloc(4096))).rejects.toMatchObject({ code: 'imageio.io' });
  });

  it('is kept alive while nothing is read', async () => {
    const ticket = await ticketOn({ image: newDisk(directory()).image, op: 'read', timeoutSeconds: 2 });
    let told = 0;
    const source = await reader(ticket, { keepAliveMs: 100, onKeepAlive: () => (told += 1) });
    await new Promise((resolve) => setTimeout(resolve, 2_400));
    await source.read(0, Buffer.alloc(4096));
    expect(told).toBeGreaterThan(3);
    await source.close();
    const toldUntilClosed = told;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(told).toBe(toldUntilClosed);
  });
}
