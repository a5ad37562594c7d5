// The engine's own sentences, as the facts list them, and the code that each must get. What is retried hangs on it.
import { classifyAnswer, classifyFault, excerpt, faultText, readFault } from '../../../adapters/ovirt/faults';
import { type FailureCode, ruleOf } from '../../../domain/failures';

const operationFailed = 'Operation Failed';

const sentences: readonly (readonly [number, string, FailureCode])[] = [
  // Locks: the holder's text, answered to everybody else.
  [409, '[Cannot create Snapshot. Snapshot is currently being created for VM demo.]', 'engine.locked'],
  [409, '[Cannot remove Snapshot. Related operation is currently in progress. Please try again later.]', 'engine.locked'],
  [409, '[Cannot attach Virtual Disk: The following disks are locked: demo_Disk1. Please try again in a few minutes.]', 'engine.locked'],
  [409, '[Cannot create Snapshot: VM is locked. Please try again in a few minutes.]', 'engine.locked'],
  [409, '[Cannot remove Virtual Disk. Disk demo_Disk1 is being removed.]', 'engine.locked'],
  [409, '[Cannot attach Virtual Disk. Disk demo_Disk1 is being moved or copied.]', 'engine.locked'],
  [409, '[Cannot create Snapshot. The VM is during a backup operation.]', 'engine.locked'],
  [409, '[Cannot create Snapshot: Disk is locked. Please try again later.]', 'engine.locked'],
  [409, '[Cannot create Snapshot. The VM is during a checkpoint removal operation.]', 'engine.locked'],
  [409, '[Cannot remove Virtual Disk. Disk demo_Disk1 is being transferred.]', 'engine.locked'],
  [409, '[Cannot create Snapshot. The VM is performing an operation on a Snapshot. Please wait for the operation to finish, and try again.]', 'engine.locked'],
  [409, '[Cannot attach Virtual Disk. The snapshot is in LOCKED status.]', 'engine.locked'],
  [409, "[Cannot copy Virtual Disk. Template's Image is locked (temporarily).]", 'engine.locked'],
  [409, '[Cannot create Snapshot because the VM is in ImageLocked status.]', 'engine.locked'],
  [409, '[Cannot create Snapshot because the VM is in MigratingFrom status.]', 'engine.locked'],
  [409, "[Cannot create Snapshot. The relevant Storage Domain's status is Locked.]", 'engine.locked'],
  [409, '[Cannot remove Snapshot. VM demo must be in status Down, Up or Paused.]', 'engine.locked'],
  [409, '[Cannot stop VM backup. There is an active image transfer for VM backup]', 'engine.locked'],
  [409, '[Cannot remove Checkpoint. The VM is during a backup operation.]', 'engine.locked'],
  // Conflicts that stay until somebody acts.
  [409, '[Cannot backup VM. The Virtual Machine should be in Up or Down status.]', 'engine.conflict'],
  [409, '[Cannot transfer Virtual Disk. The VM backup is not in READY phase, backup phase is FINALIZING.]', 'engine.conflict'],
  [409, '[Cannot create Snapshot because the VM is in Suspended status.]', 'engine.conflict'],
  [409, '[Cannot create Snapshot because the VM is in NotResponding status.]', 'engine.conflict'],
  [409, '[Cannot create Snapshot. VM is previewing a Snapshot.]', 'engine.conflict'],
  [409, "[Cannot create Snapshot. The relevant Storage Domain's status is Maintenance.]", 'engine.conflict'],
  [409, '[Cannot create Snapshot. Image IDs 1, 2 are already used by a snapshot.]', 'engine.conflict'],
  [
    409,
    "[Cannot remove Snapshot. The following VM's disks snapshots are attached to other VMs (Disk Alias/Snapshot Description/VM attached to):\n\n demo_Disk1 ,Holdfast, appliance \n\nPlease detach them from those VMs and try again.]",
    'engine.conflict',
  ],
  [409, '[Cannot remove Snapshot. The operation is only allowed for regular snapshots.]', 'engine.conflict'],
  [409, '[Cannot attach Virtual Disk. The disk is already attached to VM.]', 'engine.conflict'],
  [409, '[Cannot transfer Virtual Disk. The disk demo_Disk1 is plugged to non-Down VMs: demo]', 'engine.conflict'],
  [409, '[Cannot add Virtual Disk. The selected disk ID: d1 is already used by the following existing disk: demo_Disk1.]', 'engine.conflict'],
  [409, '[Cannot add Virtual Disk. Disk configuration (COW Preallocated backup-None) is incompatible with the storage domain type.]', 'engine.conflict'],
  [409, '[Cannot add Virtual Disk. Low disk space on Storage Domain data.]', 'engine.conflict'],
  [409, '[Cannot remove Virtual Disk. At least one of the VMs is not down.]', 'engine.conflict'],
  [409, '[Cannot run VM. VM is running.]', 'engine.conflict'],
  [409, '[Cannot run VM because the VM is in Up status.]', 'engine.conflict'],
  [409, '[Cannot thaw VM because the VM is in Paused status.]', 'engine.conflict'],
  [409, '[Import VM failed - VM Name already exists in the Data Center. Please rename the VM in the Data Center first]', 'engine.conflict'],
  [409, '[Import VM failed - VM ID already exists in the system. Please remove the VM (demo) from the system first]', 'engine.conflict'],
  [409, '[Cannot import VM: The following disks already exist: demo_Disk1. Please import as a clone.]', 'engine.conflict'],
  // Validation answered as 500: the same request gets the same answer.
  [500, '[Cannot create Snapshot. The following attached disks are in ILLEGAL status: demo_Disk1 - please remove them and try again.]', 'disk.illegal'],
  [500, '[General command validation failure.]', 'engine.conflict'],
  [400, '[Cannot attach Virtual Disk. Disk is in an illegal state. Please check it.]', 'disk.illegal'],
  [409, '[Cannot create Snapshot because the VM is in ImageIllegal status.]', 'disk.illegal'],
  // Wrong requests.
  [400, '[Cannot create Snapshot. Snapshot is not allowed for the following disk(s): shared.]', 'engine.refused'],
  [400, '[Cannot create Snapshot. The following disk(s) are not attached to the VM demo: other.]', 'engine.refused'],
  [400, '[Cannot attach Virtual Disk. Running VM can not contain disks which are stored on a backup storage domain.]', 'engine.refused'],
  [400, '[Internal Engine Error]', 'engine.refused'],
  // Of incremental backups: a full one is the answer.
  [400, "[Cannot backup VM. Checkpoint ID c1 doesn't exist.]", 'engine.refused'],
  [400, '[Cannot backup VM. Checkpoint ID c1 is invalid and should be removed.]', 'engine.refused'],
  [400, '[Cannot backup VM. The specified VM backup ID b1 already exists.]', 'engine.refused'],
  [400, 'Invalid UUID string: x', 'engine.refused'],
  // Gone.
  [400, "[Cannot remove Snapshot. VM's Snapshot does not exist.]", 'engine.not-found'],
  [400, '[Cannot remove Virtual Disk. The specified disk does not exist.]', 'engine.not-found'],
  [400, '[Cannot detach Virtual Disk. The disk is already detached from VM.]', 'engine.not-found'],
  // DetachDiskFromVmCommand of an attachment that is gone; the engine fills in no name.
  [400, '[Cannot detach Virtual Disk. The specified disk is not attached to the VM ${VmName}.]', 'engine.not-found'],
  [400, '[Cannot hot plug Virtual Disk. The disk data is not attached to the VM demo.]', 'engine.not-found'],
  [400, '[Cannot backup VM. The following disk(s) ID(s) does not exist: d1.]', 'engine.not-found'],
  [400, '[Cannot transfer Virtual Disk. The specified VM backup does not exist.]', 'engine.not-found'],
  [404, 'Entity not found: 0000', 'engine.not-found'],
  // No SPM or no host: the list of messages is empty.
  [400, '[]', 'engine.unavailable'],
  [403, '[User is not authorized to perform this action.]', 'engine.forbidden'],
];

test.each(sentences)('%i %s → %s', (status, detail, code) => {
  expect(classifyFault(status, operationFailed, detail)).toBe(code);
});

test.each([
  [401, 'engine.unauthorized'],
  [404, 'engine.not-found'],
  [405, 'engine.protocol'],
  [302, 'engine.protocol'],
  [429, 'engine.unavailable'],
  [500, 'engine.unavailable'],
  [502, 'engine.unavailable'],
  [503, 'engine.unavailable'],
] as const)('%i without a fault → %s', (status, code) => {
  expect(classifyFault(status, '', '')).toBe(code);
});

test('only busy states and an engine that is away are retried', () => {
  const retried = [...new Set(sentences.map(([, , code]) => code))].filter((code) => ruleOf(code).retry);
  expect(retried.sort()).toEqual(['engine.locked', 'engine.unavailable']);
});

describe('forms of a refusal', () => {
  test.each([
    ['top level', '{"reason":"Operation Failed","detail":"[x]"}'],
    ['of an action', '{"fault":{"reason":"Operation Failed","detail":"[x]"},"status":"failed"}'],
    ['wrapped', '{"fault":{"detail":"[x]","reason":"Operation Failed"}}'],
  ])('%s', (_name, text) => {
    expect(readFault(text)).toEqual({ reason: 'Operation Failed', detail: '[x]', shape: 'fault' });
  });

  test('XML from an engine that ignores Accept still counts', () => {
    const fault = readFault('<?xml version="1.0"?><fault><detail>[Cannot create Snapshot: VM is locked. Please try again.]</detail><reason>Operation Failed</reason></fault>');
    expect(fault.shape).toBe('fault');
    expect(classifyAnswer(409, fault)).toBe('engine.locked');
  });

  test('an empty 404 means gone, a 404 page means nothing', () => {
    expect(classifyAnswer(404, readFault(''))).toBe('engine.not-found');
    expect(classifyAnswer(404, readFault('<html><body>404 - Not Found</body></html>'))).toBe('engine.protocol');
  });

  test('a page is cut down to a few words', () => {
    const page = `<html><head><style>p { color: red }</style><script>alert("x")</script></head><body><h1>Error</h1>\n<p>${'long '.repeat(200)}</p></body></html>`;
    const words = excerpt(page);
    expect(words).toMatch(/^Error long long/);
    expect(words).not.toMatch(/[<>]|alert|color/);
    expect(words.length).toBeLessThanOrEqual(161);
  });

  test('the sentence comes without brackets, the reason stands in for a missing detail', () => {
    expect(faultText({ reason: 'Operation Failed', detail: '[Cannot run VM. VM is running.]', shape: 'fault' })).toBe('Cannot run VM. VM is running.');
    expect(faultText({ reason: 'Operation Failed', detail: '[]', shape: 'fault' })).toBe('Operation Failed');
  });
});
