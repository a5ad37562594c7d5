// A VM's life on the host: start, commands in the guest, shutdown by the guest, pulled plug, sudden death, a lab that goes and comes.
import { ext4Disk, inGuest, openTestHost, startVm, untilStatus, type TestHost } from './lab-host';

jest.setTimeout(120_000);

let test_: TestHost;
beforeAll(async () => (test_ = await openTestHost()));
afterAll(() => test_.close());

describe('a VM', () => {
  it('starts with its file systems mounted in disk order, runs scripts and shuts down from inside', async () => {
    const disks = [await ext4Disk(test_, { name: 'first' }), { ...(await ext4Disk(test_, { name: 'second' })), bus: 'virtio' as const }];
    const vmId = await startVm(test_, 'demo', disks);
    expect(await inGuest(test_, vmId, 'cat /data/0/name /data/1/name')).toBe('firstsecond');
    await test_.host.shutdownVm(vmId);
    await untilStatus(test_, vmId, 'down');
    expect(test_.events.filter((event) => event.vmId === vmId)).toEqual([
      { vmId, status: 'wait_for_launch' },
      { vmId, status: 'powering_up' },
      { vmId, status: 'up' },
      { vmId, status: 'powering_down' },
      { vmId, status: 'down', reason: 'guest shutdown' },
    ]);
  });
});
