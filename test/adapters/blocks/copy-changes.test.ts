// The copy of what changed since a parent, in memory: whatever changed and however much more is reported, the target and the digests are
// those of the whole disk, nothing else is read from the source, and nothing of the parent is written again.
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { copyBlocks, type BlockReader } from '../../../adapters/blocks';
import type { Change } from '../../../domain/extents';
import { counted, ignoreDurable, MemorySink, MemoryWriter, MiB, never } from './support';

const step = 64 * 1024;

function memoryReader(content: Buffer): BlockReader {
  return {
    sizeBytes: content.length,
    transport: 'san',
    extents: () => {
      throw new Error('a walk of changes needs no extents');
    },
    read: (offset, buffer) => {
      buffer.set(content.subarray(offset, offset + buffer.length));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

function digestsOf(content: Buffer): MemorySink {
  const sink = new MemorySink(Math.ceil(content.length / MiB));
  for (let at = 0; at < content.length; at += MiB) sink.bytes.set(createHash('sha256').update(content.subarray(at, at + MiB)).digest(), (at / MiB) * 32);
  return sink;
}

/** Per step: what was there before, and what happened to it. `told`: zeroes are reported as such, or as data. */
const steps = fc.array(fc.record({ before: fc.constantFrom(0, 0, 1), now: fc.constantFrom('same', 'same', 'data', 'zero', 'reported'), told: fc.boolean() }), { minLength: 1, maxLength: 90 });

it('gives the whole disk and its digests', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(15), fc.nat(6), async (list, shortBy, fromBlock) => {
      const size = list.length * step - shortBy * 4096;
      const [before, after] = [Buffer.alloc(size), Buffer.alloc(size)];
      const changes: Change[] = [];
      list.forEach(({ before: filled, now, told }, index) => {
        const [start, end] = [index * step, Math.min(size, (index + 1) * step)];
        before.fill(filled * (1 + (index % 100)), start, end);
        after.fill(now === 'data' ? 200 : now === 'zero' ? 0 : filled * (1 + (index % 100)), start, end);
        changes.push({ start, length: end - start, zero: told && now === 'zero', changed: now !== 'same' });
      });
      const from = Math.min(size, fromBlock * MiB);
      const source = counted(memoryReader(after));
      const writer = new MemoryWriter(size, false);
      before.copy(writer.content);
      after.copy(writer.content, 0, 0, from);
      const sink = digestsOf(after);
      sink.bytes.fill(0, Math.ceil(from / MiB) * 32);
      async function* walk(start: number): AsyncGenerator<Change> {
        for (const { start: at, length, ...kind } of changes) {
          const begin = Math.max(at, start);
          if (at + length > begin) yield await Promise.resolve({ start: begin, length: at + length - begin, ...kind });
        }
      }
      const { root } = await copyBlocks({ reader: source, writer, sink, since: { parent: memoryReader(before), digests: digestsOf(before).source(), changes: walk }, fromBytes: from, dataBytesBefore: 0, onDurable: ignoreDurable, signal: never });
      expect(writer.content.equals(after)).toBe(true);
      expect(sink.bytes.equals(digestsOf(after).bytes)).toBe(true);
      expect(root).toBe(createHash('sha256').update(digestsOf(after).bytes).digest('hex'));
      expect(source.readBytes).toBe(changes.filter((each) => each.changed && !each.zero && each.start + each.length > from).reduce((sum, each) => sum + each.start + each.length - Math.max(from, each.start), 0));
    }),
    { numRuns: 40 },
  );
});

it('a block that became zero has the digest of zeroes, also when the change was reported as data', async () => {
  const [before, after] = [Buffer.alloc(2 * MiB), Buffer.alloc(2 * MiB)];
  before.fill(7, step, 2 * step);
  const writer = new MemoryWriter(2 * MiB, false);
  before.copy(writer.content);
  const sink = new MemorySink(2);
  async function* walk(): AsyncGenerator<Change> {
    yield await Promise.resolve({ start: 0, length: step, zero: true, changed: false });
    yield { start: step, length: step, zero: false, changed: true };
    yield { start: 2 * step, length: 2 * MiB - 2 * step, zero: true, changed: false };
  }
  await copyBlocks({ reader: memoryReader(after), writer, sink, since: { parent: memoryReader(before), digests: digestsOf(before).source(), changes: walk }, fromBytes: 0, dataBytesBefore: 0, onDurable: ignoreDurable, signal: never });
  expect(writer.content.equals(after)).toBe(true);
  expect(sink.bytes.equals(digestsOf(after).bytes)).toBe(true);
});

const refusal = { code: 'input.invalid' };
it.each([
  ['a parent of another size', { parent: memoryReader(Buffer.alloc(2 * MiB)) }, {}],
  ['digests of another disk', { digests: new MemorySink(7).source() }, {}],
  ['a target that does not show the parent', {}, { writer: new MemoryWriter(MiB, true) }],
])('refuses %s', async (_what, since, more) => {
  const parent = memoryReader(Buffer.alloc(MiB));
  const changes = (): AsyncGenerator<Change> => {
    throw new Error('not reached');
  };
  await expect(
    copyBlocks({ reader: parent, writer: new MemoryWriter(MiB, false), sink: new MemorySink(1), since: { parent, digests: new MemorySink(1).source(), changes, ...since }, fromBytes: 0, dataBytesBefore: 0, onDurable: ignoreDurable, signal: never, ...more }),
  ).rejects.toMatchObject(refusal);
});
