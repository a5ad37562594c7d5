// When a checkpoint's bitmaps can be trusted, and what a merge does with them.
import { HostError, type BitmapInfo } from '../../../lab/host';
import { bitmapsSince, carrySteps } from '../../../lab/host/bitmaps/good-bitmaps';

const good = (name: string, overrides: Partial<BitmapInfo> = {}): BitmapInfo => ({ name, inconsistent: false, recording: true, granularityBytes: 65_536, ...overrides });
const inconsistent = (name: string): BitmapInfo => good(name, { inconsistent: true });
const silent = (name: string): BitmapInfo => good(name, { recording: false });

/** Active volume first. */
const chain = (...layers: (readonly BitmapInfo[])[]): { at: number; bitmaps: readonly BitmapInfo[] }[] => layers.map((bitmaps, at) => ({ at, bitmaps }));

describe('what changed since a checkpoint', () => {
  it.each([
    ['is in the volume it began in', chain([good('a')]), ['a'], [[0, 'a']]],
    ['goes on in the volumes above', chain([good('a')], [good('a')], [good('a')], []), ['a'], [[0, 'a'], [1, 'a'], [2, 'a']]],
    ['may be asked of several', chain([good('a'), good('b')], [good('a')]), ['a', 'b'], [[0, 'a'], [1, 'a'], [0, 'b']]],
  ])('%s', (_, layers, names, expected) => {
    expect(bitmapsSince(layers, names, 'disk').map(({ at, name }) => [at, name])).toEqual(expected);
  });

  it.each([
    ['not there', chain([good('b')])],
    ['not in the active volume', chain([], [good('a')])],
    ['missing in between', chain([good('a')], [], [good('a')])],
    ['inconsistent below', chain([good('a')], [inconsistent('a')])],
    ['not recording', chain([silent('a')])],
    ['of another granularity, which QEMU cannot unite', chain([good('a', { granularityBytes: 32_768 })])],
  ])('is lost when its bitmap is %s', (_, layers) => {
    const ask = (): unknown => bitmapsSince(layers, ['a'], 'disk');
    expect(ask).toThrow(HostError);
    expect(ask).toThrow(/checkpoint a cannot be told/);
  });
});

describe('a merge', () => {
  it.each([
    ['unites what both track', [good('a')], [good('a')], ['merge a']],
    ['takes over what began above', [], [good('a')], ['add a', 'merge a']],
    ['drops what the upper volume does not track', [good('a'), inconsistent('b')], [], ['remove a', 'remove b']],
    ['keeps a loss of the lower volume', [inconsistent('a'), silent('b')], [good('a'), good('b')], []],
    ['keeps a loss of the upper volume as a bitmap that does not record', [good('a')], [inconsistent('a'), silent('b')], ['disable a', 'add b', 'disable b']],
  ])('%s', (_, base, top, expected) => {
    expect(carrySteps(base, top).map(({ kind, name }) => `${kind} ${name}`)).toEqual(expected);
  });
});
