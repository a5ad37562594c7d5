// What waits to be told starts a delivery for each sink that this worker knows; one that comes to nothing is begun again ever later.
import type { ForwardEventsInput } from '../../domain/flows/alerts';
import { lookIntoOutbox, type Begun, type OutboxWatch } from '../../worker/outbox-watch';

function watching(due: () => readonly { engine: string; sink: string; notices: number }[]): { readonly watch: OutboxWatch; readonly begun: Begun; readonly delivered: ForwardEventsInput[]; readonly adopted: string[] } {
  const delivered: ForwardEventsInput[] = [];
  const adopted: string[] = [];
  return {
    begun: new Map(), delivered, adopted,
    watch: {
      catalog: { listDueSinks: () => Promise.resolve(due()), adoptEngineBackupEvents: ({ engine, fqdn }) => Promise.resolve(adopted.push(`${engine} as ${fqdn}`)) },
      loggedHere: [{ engine: 'lab', fqdn: 'engine.example' }],
      sinksOf: () => ['engine-events', 'log'],
      deliver: (input) => Promise.resolve(void delivered.push(input)),
    },
  };
}

test('each sink with something to be told gets its delivery; what waits for a sink that this worker has not waits on', async () => {
  const { watch, begun, delivered, adopted } = watching(() => ['engine-events', 'webhook', 'log'].map((sink) => ({ engine: 'lab', sink, notices: 1 })));
  await lookIntoOutbox(watch, begun, 0);
  expect(delivered).toEqual([{ engine: 'lab', sink: 'engine-events' }, { engine: 'lab', sink: 'log' }]);
  expect(adopted).toEqual(['lab as engine.example']);
});

test('a sink that stays away is tried at doubling distances, five minutes at most, and at once when it has been told meanwhile', async () => {
  let isDue = true;
  const { watch, begun, delivered } = watching(() => (isDue ? [{ engine: 'lab', sink: 'log', notices: 1 }] : []));
  const at: number[] = [];
  for (let second = 0; second <= 1500; second += 5) {
    const before = delivered.length;
    await lookIntoOutbox(watch, begun, second * 1000);
    if (delivered.length > before) at.push(second);
  }
  expect(at).toEqual([0, 5, 15, 35, 75, 155, 315, 615, 915, 1215]);
  isDue = false;
  await lookIntoOutbox(watch, begun, 1_505_000);
  isDue = true;
  await lookIntoOutbox(watch, begun, 1_506_000);
  expect(delivered).toHaveLength(at.length + 1);
});
