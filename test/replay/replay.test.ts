// Every committed history replays with the flows as they are now: a worker of this code can take over the runs of any release that is recorded.
// What to do when one fails: docs/versioning.md. Recording it anew is not it.
import path from 'node:path';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { ReplayResult, ReplayWorkerOptions, WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { flowNames } from '../../client/flows';
import { workflowBundle } from '../../worker/workflow-bundle';
import { some, tellSeed } from '../support/share';
import { sometimes } from '../support/sometimes';
import { activityOf, committedHistories, committedHistory, toReplay, type CommittedHistory, type HistoryEvent } from './histories';

const workflowsPath = require.resolve('../../workflows');
const quiet = new DefaultLogger('ERROR');

interface TextChange {
  readonly module: string;
  readonly from: string;
  readonly to: string;
}

/** The flows' source as the worker bundles it, with these changes made on the way. */
function bundleFlows(changes: readonly TextChange[]): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({
    workflowsPath,
    logger: quiet,
    webpackConfigHook: (config) => {
      for (const { module, from, to } of changes) {
        const test = path.join(path.dirname(workflowsPath), module);
        config.module?.rules?.push({ test, enforce: 'pre', loader: require.resolve('./swap-text.cjs'), options: { from, to } });
      }
      return config;
    },
  });
}

type Bundle = NonNullable<ReplayWorkerOptions['workflowBundle']>;

async function replay(
  bundle: Bundle,
  histories: readonly Pick<CommittedHistory, 'events'>[],
): Promise<readonly ReplayResult[]> {
  const results: ReplayResult[] = [];
  for await (const result of Worker.runReplayHistories({ workflowBundle: bundle }, histories.map(toReplay))) results.push(result);
  return results;
}

/** By name: jest's realm has classes of its own. */
async function errorsOf(
  bundle: Bundle,
  events: readonly HistoryEvent[],
): Promise<readonly (string | undefined)[]> {
  return (await replay(bundle, [{ events }])).map(({ error }) => error?.name);
}

tellSeed();
let current: Bundle;

beforeAll(async () => {
  // Replays that fail on purpose are reported by the worker at length.
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), telemetryOptions: { logging: { forward: {}, filter: 'ERROR' } } });
  current = await workflowBundle();
}, 120_000);

test('every flow has a history, and every history is of a flow', () => {
  expect([...new Set(committedHistories().map(({ flow }) => flow))].sort()).toEqual([...flowNames].sort());
});

test('every committed history replays', async () => {
  const histories = committedHistories();
  const results = await replay(current, histories);
  expect(results.map(({ error }, index) => [histories[index]?.title, error?.message])).toEqual(
    histories.map(({ title }) => [title, undefined]),
  );
}, 120_000);

describe('a history that the flow did not write is noticed', () => {
  const { events } = committedHistory('backupVm/0.1.0-completed');
  const indexOf = (activity: string): number => events.findIndex((event) => activityOf(event) === activity);

  /** Only the steps change places: each event keeps its activity id and the task that it belongs to. */
  function exchanged(one: number, other: number): readonly HistoryEvent[] {
    const become = (event: HistoryEvent, index: number): HistoryEvent => {
      const { activityType, input, taskQueue } = events[index]?.activityTaskScheduledEventAttributes ?? {};
      return {
        ...event,
        activityTaskScheduledEventAttributes: { ...event.activityTaskScheduledEventAttributes, activityType, input, taskQueue },
      };
    };
    return events.map((event, index) => (index === one ? become(event, other) : index === other ? become(event, one) : event));
  }

  test('another activity in place of the snapshot', async () => {
    const at = indexOf('ensureSnapshot');
    const altered = events.map((event, index) =>
      index === at
        ? {
            ...event,
            activityTaskScheduledEventAttributes: { ...event.activityTaskScheduledEventAttributes, activityType: { name: 'startVm' } },
          }
        : event,
    );
    expect(at).toBeGreaterThan(0);
    expect(await errorsOf(current, altered)).toEqual(['DeterminismViolationError']);
  });

  test('two steps in another order', async () => {
    const [snapshot, configuration] = [indexOf('ensureSnapshot'), indexOf('saveConfiguration')];
    expect(snapshot).toBeGreaterThan(0);
    expect(configuration).toBeGreaterThan(snapshot);
    expect(await errorsOf(current, exchanged(snapshot, configuration))).toEqual(['DeterminismViolationError']);
  });

  test('another flow under the same history', async () => {
    const [started, ...rest] = events;
    if (!started) throw new Error('an empty history');
    const altered = {
      ...started,
      workflowExecutionStartedEventAttributes: { ...started.workflowExecutionStartedEventAttributes, workflowType: { name: 'restoreVm' } },
    };
    expect(await errorsOf(current, [altered, ...rest])).toEqual(['DeterminismViolationError']);
  });
});

sometimes('a change that is not about steps replays', async () => {
  const reworded = await bundleFlows([
    { module: 'details.ts', from: "'Undone, newest first'", to: "'Taken back'" },
  ]);
  expect((await replay(reworded, committedHistories())).filter(({ error }) => error)).toEqual([]);
}, 120_000);

describe('a change of the flows that open runs would not survive is noticed', () => {
  test.each(some<readonly [string, string, readonly TextChange[]]>([
    [
      'the disks are attached before the configuration is saved',
      'backupVm/0.1.0-completed',
      [
        {
          module: 'backup/appliance.ts',
          from: '  const partial = await configurationSaved(backup, plan.disks, snapshot.snapshotId);\n  await disksAttached(backup, plan.disks, snapshot);\n',
          to: '  await disksAttached(backup, plan.disks, snapshot);\n  const partial = await configurationSaved(backup, plan.disks, snapshot.snapshotId);\n',
        },
      ],
    ],
    [
      'the undo stack goes oldest first',
      'backupVm/0.1.0-cancelled-in-copy',
      [
        {
          module: 'compensation.ts',
          from: 'let step = this.steps.at(-1); step; step = this.steps.at(-1)',
          to: 'let step = this.steps.at(0); step; step = this.steps.at(0)',
        },
      ],
    ],
    [
      'the restored disks are not proven any more',
      'restoreVm/0.1.0-completed-and-started',
      [{ module: 'restore/by-appliance.ts', from: 'await disksProven(restore, plan)', to: '([] as readonly string[])' }],
    ],
  ], 1))(
    '%s',
    async (_, title, changes) => {
      const changed = await bundleFlows(changes);
      expect(await errorsOf(changed, committedHistory(title).events)).toEqual(['DeterminismViolationError']);
    },
    120_000,
  );
});
