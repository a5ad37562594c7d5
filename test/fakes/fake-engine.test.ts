// The fake engine keeps the same contract as the HTTP adapter: otherwise tests on it would prove nothing.
import type { Engine } from '../../adapters/ovirt/port';
import { HoldfastError, type FailureCode } from '../../domain/failures';
import { engineContract } from '../contracts/engine.contract';
import { FakeEngine } from './fake-engine';
import { fakeDisk, fakeVm } from './fake-world';

type Closing = Engine & { close(): Promise<void> };

engineContract('the fake engine', () => {
  const engine = new FakeEngine();
  engine.add(fakeVm('demo'), fakeDisk('demo_Disk1', { settings: { bootable: true, backup: 'incremental' } }), fakeDisk('demo_Disk2', { settings: { format: 'raw' } }));
  engine.add(fakeVm('appliance'), fakeDisk('appliance_Disk1'));
  return Promise.resolve({
    engine,
    stranger: refusing(engine, 'engine.unauthorized', () => true),
    reader: refusing(engine, 'engine.forbidden', (operation) => /^(?:create|remove|attach|detach|activate|start|stop|shutdown|finalize|cancel|freeze|thaw|post|delete)/.test(operation)),
    letTokenExpire: () => Promise.resolve(),
    vmName: 'demo',
    applianceName: 'appliance',
    tearDown: () => Promise.resolve(),
  });
});

function refusing(engine: FakeEngine, code: FailureCode, refused: (operation: string) => boolean): Closing {
  return new Proxy(engine, {
    get: (target, key) => (key !== 'close' && typeof key === 'string' && typeof target[key as keyof Engine] === 'function' && refused(key) ? () => Promise.reject(new HoldfastError(code, key)) : (Reflect.get(target, key) as unknown)),
  });
}
