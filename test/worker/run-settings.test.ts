// From the configuration's units to those of runs and activities.
import { runSettingsSchema } from '../../domain/flows/settings';
import { parseConfig, type EngineConfig, type WorkerConfig } from '../../worker/config';
import { imageioSettingsOf, runSettingsOf } from '../../worker/run-settings';

function configured(changes: object = {}): { config: WorkerConfig; engine: EngineConfig } {
  const lab = { url: 'https://engine.example.org/ovirt-engine/api', username: 'holdfast@internal', password: { variable: 'ENGINE_PASSWORD' }, ...changes };
  const config = parseConfig(JSON.stringify({ roles: ['control'], catalog: { url: { variable: 'CATALOG' } }, engines: { lab }, limits: { disksPerRun: 3 } }), 'worker.json', {});
  const engine = config.engines['lab'];
  if (engine === undefined) throw new Error('the configuration lost its engine');
  return { config, engine };
}

test('a run gets what its engine is configured with; days become milliseconds, and no age is no age', () => {
  const { config, engine } = configured({ chains: { maxLength: 10, fullEveryDays: 1.5 }, witness: 'never', snapshotPrefix: 'Nightly' });
  const settings = runSettingsOf(config, engine);
  expect(settings).toMatchObject({ snapshotPrefix: 'Nightly', witness: 'never', chain: { maxChainLength: 10, fullEveryMs: 129_600_000 }, disksAtOnce: 3 });
  expect(runSettingsSchema.parse(settings)).toEqual(settings);
  const plain = configured();
  expect(runSettingsOf(plain.config, plain.engine)).toMatchObject({ witness: { every: 7 } });
  expect(runSettingsOf(plain.config, plain.engine).chain).toStrictEqual({ maxChainLength: 30 });
});

test('hosts are trusted as their engine is', () => {
  expect(imageioSettingsOf(configured({ caFile: '/etc/holdfast/ca.pem', imageio: { connections: 8 } }).engine)).toStrictEqual({ proxy: 'when-needed', port: 54_322, connections: 8, inactivityTimeoutSeconds: 600, insecure: false, caFile: '/etc/holdfast/ca.pem' });
  expect(imageioSettingsOf(configured({ insecure: true }).engine)).toStrictEqual({ proxy: 'when-needed', port: 54_322, connections: 4, inactivityTimeoutSeconds: 600, insecure: true });
});
