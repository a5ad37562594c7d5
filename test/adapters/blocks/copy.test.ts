// The copy engine: the same bytes and digests whatever is cut where, nothing after a cancel, and memory that does not grow with the disk.
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { copyBlocks, digestBlocks, type BlockReader, type CopyFigures, type CopyOptions } from '../../../adapters/blocks';
import { counted, ignoreDurable, independentDigests, MemorySink, MemoryWriter, MiB, never, qemuImg, randomPieces, rawDisk, readImage, useDirectory } from './support';

const directory = useDirectory();
let serial = 0;

const options = (reader: BlockReader, writer: MemoryWriter, more: Partial<CopyOptions> = {}): CopyOptions => ({ reader, writer, fromBytes: 0, dataBytesBefore: 0, onDurable: ignoreDurable, signal: never, ...more });

/** A disk in a qcow2 behind a real qemu-nbd. */
async function source(sizeBytes: number, pieces: Parameters<typeof rawDisk>[2]): Promise<{ reader: BlockReader; content: Buffer; image: string }> {
  const raw = join(directory.path, `s${serial++}.raw`);
  const image = `${raw}.qcow2`;
  const content = rawDisk(raw, sizeBytes, pieces);
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, image);
  return { image, content, reader: await readImage(image) };
}

const sizeBytes = 24 * MiB + 512 * 1024;
const pieces = [
  { start: 0, bytes: randomBytes(MiB) },
  { start: 3 * MiB + 4096, bytes: randomBytes(8192) },
  { start: 5 * MiB, bytes: Buffer.concat([randomBytes(64 * 1024), Buffer.alloc(3 * MiB), randomBytes(MiB)]) },
  { start: 24 * MiB, bytes: randomBytes(4096) },
];

it('copies, and its digests and root are those that hashlib finds, the short last block included', async () => {
  const { reader, content, image } = await source(sizeBytes, pieces);
  const writer = new MemoryWriter(sizeBytes, true);
  const sink = new MemorySink(25);
  const result = await copyBlocks(options(reader, writer, { sink }));
  const independent = independentDigests(image, 'qcow2');
  expect(writer.content.equals(content)).toBe(true);
  expect(sink.bytes.equals(independent.digests)).toBe(true);
  expect(result.root).toBe(independent.root);
  expect(result.positionBytes).toBe(sizeBytes);
  expect((await digestBlocks(reader, { signal: never, expected: sink.source() })).root).toBe(independent.root);
  await reader.close();
});

it('writes no zeroes to a blank target, and leaves none of the old content on any other', async () => {
  const { reader, content } = await source(sizeBytes, pieces);
  const blank = new MemoryWriter(sizeBytes, true);
  await copyBlocks(options(reader, blank));
  expect(blank.events.filter((event) => event.startsWith('zero'))).toEqual([]);
  // 64 KiB is the granule: 8 KiB of data cost one granule, a run of zeroes inside of the data costs nothing.
  expect(blank.writtenBytes).toBeLessThanOrEqual(2 * MiB + 4 * 64 * 1024);
  const used = new MemoryWriter(sizeBytes, false, 0xee);
  await copyBlocks(options(reader, used));
  expect(used.content.equals(content)).toBe(true);
  await reader.close();
});

it('an empty disk has the root of its constant digests', async () => {
  const { reader, image } = await source(3 * MiB + 4096, []);
  const sink = new MemorySink(4);
  const result = await copyBlocks(options(reader, new MemoryWriter(3 * MiB + 4096, true), { sink }));
  expect(result).toMatchObject({ dataBytes: 0, root: independentDigests(image, 'qcow2').root });
  await reader.close();
});

it('a copy that was cut anywhere goes on at its durable position, to the same bytes, digests and root', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.double({ min: 0.05, max: 0.95, noNaN: true }), fc.integer(), async (extraBlocks, cutAt, seed) => {
      const size = extraBlocks * MiB + 4096 * (seed & 0xff);
      const random = fc.sample(fc.double({ min: 0, max: 0.999, noNaN: true }), { numRuns: 120, seed });
      const { reader, content, image } = await source(size, randomPieces(size, 12, 3 * MiB, () => random.pop() ?? 0.5));
      const whole = await digestBlocks(reader, { signal: never });
      const writer = new MemoryWriter(size, false, 0xee);
      const sink = new MemorySink(Math.ceil(size / MiB));
      const cutBytes = Math.floor(size * cutAt);
      const cut = new AbortController();
      const failing: BlockReader = {
        ...reader,
        read: async (offset, buffer, signal) => {
          if (offset >= cutBytes) cut.abort(new Error('cut'));
          await reader.read(offset, buffer, signal);
        },
      };
      await copyBlocks(options(failing, writer, { sink, signal: cut.signal })).catch(() => undefined);
      await reader.close();
      // A digest is put after its block was written: up to there a position may have been recorded as durable.
      const from = Math.min(size, sink.putBlocks * MiB);
      expect(writer.content.subarray(0, from).equals(content.subarray(0, from))).toBe(true);
      const again = counted(await readImage(image));
      const result = await copyBlocks(options(again, writer, { sink, fromBytes: from, dataBytesBefore: 7 }));
      expect(writer.content.equals(content)).toBe(true);
      expect(result.root).toBe(whole.root);
      expect((await digestBlocks(again, { signal: never, expected: sink.source() })).root).toBe(whole.root);
      expect(result.dataBytes - 7).toBeLessThanOrEqual(size - from);
      await again.close();
    }),
    { numRuns: 12 },
  );
});

it('makes a position durable only after data and digests are flushed, at most twice a second', async () => {
  const { reader } = await source(64 * MiB, [{ start: 0, bytes: randomBytes(64 * MiB) }]);
  const writer = new MemoryWriter(64 * MiB, true);
  const order: string[] = [];
  const sink = new MemorySink(64);
  const at: number[] = [];
  await copyBlocks(
    options(reader, writer, {
      sink: { put: (...args) => sink.put(...args), get: (...args) => sink.get(...args), flush: () => Promise.resolve(void order.push('digests')) },
      bytesPerSecond: 24 * MiB,
      onDurable: ({ positionBytes }) => {
        expect(writer.events.at(-1) === 'flush' || writer.events.lastIndexOf('flush') >= 0).toBe(true);
        const flushed = writer.events.lastIndexOf('flush');
        const written = writer.events.slice(0, flushed).reduce((sum, event) => sum + (event.startsWith('write') ? Number(event.split(' ')[2]) : 0), 0);
        expect(written).toBeGreaterThanOrEqual(positionBytes);
        expect(order.at(-1)).toBe('digests');
        order.push('position');
        at.push(performance.now());
        return Promise.resolve();
      },
    }),
  );
  expect(at.length).toBeGreaterThanOrEqual(2);
  // The last one comes with the end; those before keep their distance.
  for (let index = 1; index < at.length - 1; index += 1) expect((at[index] ?? 0) - (at[index - 1] ?? 0)).toBeGreaterThan(450);
  await reader.close();
});

describe('a cancel', () => {
  it('rejects with its reason, and nothing is written, put or recorded afterwards', async () => {
    const { reader } = await source(48 * MiB, [{ start: 0, bytes: randomBytes(48 * MiB) }]);
    const writer = new MemoryWriter(48 * MiB, true);
    const sink = new MemorySink(48);
    const cancel = new AbortController();
    const calls: CopyFigures[] = [];
    const slow: BlockReader = { ...reader, read: async (offset, buffer, signal) => (offset >= 16 * MiB && cancel.abort(new Error('the operator cancelled')), reader.read(offset, buffer, signal)) };
    await expect(copyBlocks(options(slow, writer, { sink, signal: cancel.signal, onDurable: (figures) => Promise.resolve(void calls.push(figures)), onProgress: (figures) => calls.push(figures) }))).rejects.toThrow('the operator cancelled');
    const after = { events: writer.events.length, digests: Buffer.from(sink.bytes), calls: calls.length };
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect({ events: writer.events.length, digests: sink.bytes, calls: calls.length }).toEqual(after);
    await reader.close();
  });

  it('does not wait for the throttle', async () => {
    const { reader } = await source(48 * MiB, [{ start: 0, bytes: randomBytes(48 * MiB) }]);
    const cancel = new AbortController();
    setTimeout(() => cancel.abort(new Error('now')), 100);
    const begun = performance.now();
    await expect(copyBlocks(options(reader, new MemoryWriter(48 * MiB, true), { bytesPerSecond: 1000, signal: cancel.signal }))).rejects.toThrow('now');
    expect(performance.now() - begun).toBeLessThan(10_000); // the 48 MiB would take 14 hours
    await reader.close();
  });
});

it('keeps to the bandwidth', async () => {
  const { reader } = await source(8 * MiB, [{ start: 0, bytes: randomBytes(8 * MiB) }]);
  const begun = performance.now();
  await copyBlocks(options(reader, new MemoryWriter(8 * MiB, true), { bytesPerSecond: 8 * MiB }));
  // 8 MiB at 8 MiB/s, less the burst of a quarter of a second and the last range, which is paid for afterwards.
  expect(performance.now() - begun).toBeGreaterThan(400);
  await reader.close();
});

it.each([0, 4, 24])('block %i that is not as expected is named, and it is not written', async (block) => {
  const { reader, image } = await source(sizeBytes, pieces);
  const sink = new MemorySink(25);
  await copyBlocks(options(reader, new MemoryWriter(sizeBytes, true), { sink }));
  sink.bytes[block * 32 + 5] = (sink.bytes[block * 32 + 5] ?? 0) ^ 1;
  const failure = { code: 'digest.mismatch', details: { block, offset: block * MiB } };
  await expect(digestBlocks(reader, { signal: never, expected: sink.source() })).rejects.toMatchObject(failure);
  await reader.close();
  const again = await readImage(image);
  const writer = new MemoryWriter(sizeBytes, false, 0xee);
  await expect(copyBlocks(options(again, writer, { expected: sink.source() }))).rejects.toMatchObject(failure);
  expect(writer.content.subarray(block * MiB, (block + 1) * MiB).every((byte) => byte === 0xee)).toBe(true);
  await again.close();
});

it('a writer that fails ends the copy with its failure, and no thread or timer stays', async () => {
  const { reader } = await source(sizeBytes, pieces);
  const writer = new MemoryWriter(sizeBytes, true);
  writer.write = () => Promise.reject(new Error('the target is on fire'));
  await expect(copyBlocks(options(reader, writer))).rejects.toThrow('the target is on fire');
  await reader.close();
});

it.each([
  ['targets of another size', { writer: new MemoryWriter(MiB, true) }],
  ['a position between blocks', { fromBytes: 4096, sink: new MemorySink(25) }],
  ['to go on without digests', { fromBytes: MiB }],
  ['digests of another disk', { expected: new MemorySink(7).source() }],
  ['a bandwidth of nothing', { bytesPerSecond: 0 }],
])('refuses %s', async (_what, more) => {
  const reader: BlockReader = { sizeBytes, transport: 'san', extents: () => { throw new Error('not reached'); }, read: () => Promise.reject(new Error('not reached')), close: () => Promise.resolve() };
  await expect(copyBlocks(options(reader, new MemoryWriter(sizeBytes, true), more))).rejects.toMatchObject({ code: 'input.invalid' });
});
