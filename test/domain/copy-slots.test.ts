// Whose turn is it to copy: a table of lines, and a long life of random ones in which no limit is ever broken and nobody waits for ever.
import { judgeSlots, nextLookMs, type CopyLimits, type SlotRequest } from '../../domain/copy-slots';

const limits: CopyLimits = { copiesAtOnce: 4, copiesAtOncePerStorageDomain: 2, ofStorageDomain: { slow: 1, fast: 3 } };

/** `a1+ a2 -3`: slots 1 and 2 on domain a, 1 held; slot 3 on no known domain. */
function line(text: string): readonly SlotRequest[] {
  return text.split(' ').filter(Boolean).map((word) => {
    const [, domain = '', slotId = '', held] = /^([a-z]+|-)(\d+)(\+?)$/.exec(word) ?? [];
    return { slotId, storageDomainId: domain === '-' ? null : domain, state: held === '+' ? 'held' : 'waiting' };
  });
}

function verdicts(text: string, of: CopyLimits = limits): string {
  return [...judgeSlots(line(text), of)].sort(([a], [b]) => Number(a) - Number(b)).map(([slotId, verdict]) => (verdict.granted ? slotId : `${slotId}:${verdict.limit}/${verdict.ahead}`)).join(' ');
}

test.each<[string, string, string]>([
  ['the first gets one', 'a1', '1'],
  ['who holds one keeps it', 'a1+ a2+', '1 2'],
  ['a domain\'s limit counts those that hold and those just granted', 'a1+ a2 a3 a4', '1 2 3:storage-domain/0 4:storage-domain/1'],
  ['a full domain holds nobody up on another', 'a1+ a2+ a3 b4 b5', '1 2 3:storage-domain/0 4 5'],
  ['the engine\'s limit counts over all domains', 'a1+ a2+ b3+ b4+ c5 c6', '1 2 3 4 5:engine/0 6:engine/1'],
  ['whoever asked first is first, not who comes first by domain', 'a1+ a2+ b3+ c4 d5 e6', '1 2 3 4 5:engine/0 6:engine/1'],
  ['a domain may have less room than the others', 'slow1 slow2 a3', '1 2:storage-domain/0 3'],
  ['or more', 'fast1 fast2 fast3 fast4', '1 2 3 4:storage-domain/0'],
  ['without a known domain only the engine counts', '-1 -2 -3 -4 -5', '1 2 3 4 5:engine/0'],
  ['the domain is named when both are full', 'a1+ a2+ b3+ b4+ a5 c6', '1 2 3 4 5:storage-domain/0 6:engine/0'],
  ['after a limit was lowered nobody loses a slot and nobody gets one', 'fast1+ fast2+ fast3+ a4+ b5+ c6', '1 2 3 4 5 6:engine/0'],
  ['each domain has a line of its own', 'a1+ a2+ b3+ b4+ a5 b6 a7 b8', '1 2 3 4 5:storage-domain/0 6:storage-domain/0 7:storage-domain/1 8:storage-domain/1'],
])('%s', (_what, asked, expected) => {
  expect(verdicts(asked)).toBe(expected);
});

/** Small and repeatable; a failure names its seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % below;
  };
}

test.each(Array.from({ length: 12 }, (_, index) => [index + 1]))('a long life, seed %i: no limit is broken, lines are kept, and everybody has a turn', (seed) => {
  const random = randomOf(seed);
  const domains = ['a', 'b', 'slow', 'fast', null] as const;
  let requests: SlotRequest[] = [];
  let next = 0;
  const roundsWaited = new Map<string, number>();
  for (let round = 0; round < 200; round += 1) {
    // More ask than there is room for, and one domain is asked for more than the others.
    for (let arrivals = random(3); arrivals > 0; arrivals -= 1) requests.push({ slotId: String(next++), storageDomainId: domains[random(2) === 0 ? 0 : random(domains.length)] ?? null, state: 'waiting' });
    const judged = judgeSlots(requests, limits);
    const granted = requests.filter(({ slotId }) => judged.get(slotId)?.granted);
    expect(granted.length).toBeLessThanOrEqual(limits.copiesAtOnce);
    for (const domain of ['a', 'b', 'slow', 'fast']) expect(granted.filter(({ storageDomainId }) => storageDomainId === domain).length).toBeLessThanOrEqual(limits.ofStorageDomain[domain] ?? 2);
    // Nobody starves, however many come after: whoever has become the oldest of all has a slot.
    if (requests[0]) expect(judged.get(requests[0].slotId)).toEqual({ granted: true });
    // Nobody new is let in before an older one of the same line, and no room that somebody could use is left empty.
    const isNew = ({ slotId, state }: SlotRequest): boolean => state === 'waiting' && judged.get(slotId)?.granted === true;
    requests.forEach((request, place) => {
      const verdict = judged.get(request.slotId);
      if (verdict?.granted !== false) return;
      const younger = requests.slice(place + 1).filter(isNew);
      expect(younger.filter(({ storageDomainId }) => storageDomainId === request.storageDomainId)).toEqual([]);
      if (verdict.limit === 'engine') expect([granted.length, younger]).toEqual([limits.copiesAtOnce, []]);
      roundsWaited.set(request.slotId, (roundsWaited.get(request.slotId) ?? 0) + 1);
    });
    // One poll may miss its grant: whoever is late keeps the place. A copy ends now and then.
    requests = requests.flatMap((request) => {
      if (request.state === 'held') return random(3) === 0 ? [] : [request];
      return judged.get(request.slotId)?.granted && random(4) > 0 ? [{ ...request, state: 'held' as const }] : [request];
    });
  }
  // Nobody asks any more: the line drains to the last.
  for (let round = 0; round < 4000 && requests.length > 0; round += 1) {
    const judged = judgeSlots(requests, limits);
    requests = requests.flatMap((request) => (request.state === 'held' ? [] : [{ ...request, state: judged.get(request.slotId)?.granted ? ('held' as const) : request.state }]));
  }
  expect(requests).toEqual([]);
  expect(roundsWaited.size).toBeGreaterThan(20);
});

test('who stands far back asks less often, but never seldom', () => {
  expect([0, 1, 8, 100, 10_000].map(nextLookMs)).toEqual([2000, 2250, 4000, 10_000, 10_000]);
});
