// A process that writes an image slowly, says what happens, and is stopped or killed meanwhile (partial-image.test.ts). When it is
// told to go on after it was taken over, it tries everything that a writer can do.
import { createRepository } from '../../../adapters/repository/repository';
import { copyInto } from './support';

const say = (what: string): void => void process.stdout.write(`${what}\n`);
const codeOf = (error: unknown): string => (typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error));

async function main(): Promise<void> {
  const [path = '', vmId = '', backupId = '', diskId = '', virtualBytes = '', raw = ''] = process.argv.slice(2);
  const repository = createRepository({ name: 'primary', path, leaseMs: 1_000 });
  const image = await repository.openPartialImage({ vmId, backupId }, diskId, Number(virtualBytes), { owner: 'the child' });
  const lease = setInterval(() => void image.renewLease().catch((error: unknown) => say(`renewLease ${codeOf(error)}`)), 200);
  const recordDurable = async (position: number, dataBytes: number): Promise<void> => {
    await image.recordDurable(position, dataBytes);
    say(`durable ${position}`);
  };
  say('open');
  await copyInto({ ...image, recordDurable }, raw, undefined, 8 * 1024 * 1024).catch((error: unknown) => say(`copy ${codeOf(error)}`));
  clearInterval(lease);
  await image.recordDurable(Number(virtualBytes), 0).catch((error: unknown) => say(`recordDurable ${codeOf(error)}`));
  await image.renewLease().catch((error: unknown) => say(`renewLease ${codeOf(error)}`));
  await image.writer.write(0, Buffer.alloc(1024 * 1024, 0x66)).catch((error: unknown) => say(`write ${codeOf(error)}`));
  await image.sink.put(0, Buffer.alloc(32, 0x66)).catch((error: unknown) => say(`put ${codeOf(error)}`));
  await image.sink.flush().catch((error: unknown) => say(`flush ${codeOf(error)}`));
  await image.close();
  say('end');
}

void main();
