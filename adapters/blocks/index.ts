// What activities use of blocks. The image server and the NBD client stay inside (adapters/repository uses them directly).
export { copyBlocks } from './copy/copy-blocks';
export { digestBlocks, type DigestOptions, type DigestResult } from './copy/digest-blocks';
export { openDevice, type DeviceOptions } from './device';
export type { BlockReader, BlockWriter, CopyFigures, CopyOptions, CopyResult, DigestSink, DigestSource, Extent, Since, Transport } from './port';
