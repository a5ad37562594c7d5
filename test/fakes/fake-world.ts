// What the fake engine is made of: VMs, disks, snapshots, and objects that change their state with every look at them.
import { randomUUID } from 'node:crypto';
import type { Attachment, Snapshot, VmDisk, VmStatus } from '../../adapters/ovirt/port';
import type { DiskSettings } from '../../domain/disks';
import { HoldfastError, type FailureCode } from '../../domain/failures';
import type { SampleNic } from '../domain/ovf-samples';

/** On its way to another state: after so many looks `then` happens. */
export interface Moving {
  moving?: { looks: number; readonly then: () => void } | undefined;
}

export function look<Object extends Moving>(object: Object): Object {
  if (object.moving && --object.moving.looks < 0) {
    const { then } = object.moving;
    object.moving = undefined;
    then();
  }
  return object;
}

export type FakeSnapshot = { -readonly [Key in keyof Snapshot]: Snapshot[Key] } & Moving & { ovf: string; readonly volumes: ReadonlyMap<string, string> };
export type FakeAttachment = { -readonly [Key in keyof Attachment]: Attachment[Key] } & Moving;
export type FakeDisk = { settings: DiskSettings; volume: string } & { -readonly [Key in keyof Omit<VmDisk, 'settings'>]: VmDisk[Key] } & Moving;

export interface FakeVm extends Moving {
  readonly id: string;
  readonly name: string;
  status: VmStatus;
  comment: string;
  readonly clusterId: string;
  deleteProtected: boolean;
  poolId?: string;
  templateId?: string;
  tags?: readonly string[];
  isHostedEngine?: true;
  nics: readonly SampleNic[];
  readonly attachments: Map<string, FakeAttachment>;
  readonly snapshots: Map<string, FakeSnapshot>;
}

export const fakeIds = {
  cluster: 'c1000000-0000-4000-8000-000000000001',
  dataCenter: 'dc000000-0000-4000-8000-000000000001',
  domain: 'd0000000-0000-4000-8000-000000000001',
  macPool: 'ac000000-0000-4000-8000-000000000001',
  network: '9e000000-0000-4000-8000-000000000001',
  profile: '9f000000-0000-4000-8000-000000000001',
} as const;

export function fakeVm(name: string, status: VmStatus = 'up'): FakeVm {
  return { id: randomUUID(), name, status, comment: '', clusterId: fakeIds.cluster, deleteProtected: false, nics: [fakeNic()], attachments: new Map(), snapshots: new Map() };
}

let macs = 0;

/** Of the pool: no two have the same. */
export function freeMac(): string {
  macs += 1;
  return `56:6f:00:00:${(macs >> 8).toString(16).padStart(2, '0')}:${(macs & 255).toString(16).padStart(2, '0')}`;
}

function fakeNic(): SampleNic {
  return { id: randomUUID(), name: 'nic1', mac: freeMac(), network: 'ovirtmgmt' };
}

export function fakeDisk(alias: string, changes: Partial<Omit<FakeDisk, 'settings'>> & { readonly settings?: Partial<DiskSettings> } = {}): FakeDisk {
  const settings: DiskSettings = {
    diskId: randomUUID(), alias, description: '', virtualBytes: 64 * 1024 * 1024, format: 'cow', sparse: true, backup: 'none', wipeAfterDelete: false,
    interface: 'virtio_scsi', bootable: false, active: true, readOnly: false, passDiscard: false, storageDomainId: fakeIds.domain, ...changes.settings,
  };
  return { volume: randomUUID(), status: 'ok', storageType: 'image', shareable: false, contentType: 'data', actualBytes: 1024 * 1024, ...changes, settings };
}

export function refuse(code: FailureCode, text: string): never {
  throw new HoldfastError(code, `fake engine: ${text}`);
}
