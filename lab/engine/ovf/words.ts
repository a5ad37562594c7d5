// Names that the OVF uses for things the API calls otherwise (ovf.md sections 2 to 4).
import type { DiskInterface, NicModel } from '../state/model';

export const blankId = '00000000-0000-0000-0000-000000000000';

export const diskInterfaces: Readonly<Record<DiskInterface, string>> = {
  virtio: 'VirtIO',
  virtio_scsi: 'VirtIO_SCSI',
  ide: 'IDE',
  sata: 'SATA',
  spapr_vscsi: 'SPAPR_VSCSI',
};

export const nicModels: Readonly<Record<NicModel, string>> = { rtl8139: '1', e1000: '2', virtio: '3', pci_passthrough: '5', e1000e: '6' };

export const biosTypes = ['i440fx_sea_bios', 'q35_sea_bios', 'q35_ovmf', 'q35_secure_boot'] as const;
export const vmTypes = ['desktop', 'server', 'high_performance'] as const;

export function keyOf<Key extends string>(table: Readonly<Record<Key, string>>, value: string): Key | undefined {
  return (Object.keys(table) as Key[]).find((key) => table[key] === value);
}

/** `2026/01/05 08:00:00`, UTC. */
export function ovfDate(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19).replace(/-/g, '/').replace('T', ' ');
}

/** General elements of Content in the order in which the engine writes them, with the values of a new VM.
 *  Elements that come from a record (Name, memory, template, …) have no default here. */
export const generalElements: readonly (readonly [name: string, initial: string | undefined])[] = [
  ['Name', undefined],
  ['Description', undefined],
  ['Comment', undefined],
  ['CreationDate', undefined],
  ['ExportDate', undefined],
  ['DeleteProtected', undefined],
  ['SsoMethod', 'guest_agent'],
  ['IsSmartcardEnabled', 'false'],
  ['NumOfIoThreads', '1'],
  ['TimeZone', 'Etc/GMT'],
  ['default_boot_sequence', '0'],
  ['Generation', undefined],
  ['ClusterCompatibilityVersion', '4.7'],
  ['VmType', undefined],
  ['ResumeBehavior', 'AUTO_RESUME'],
  ['MinAllocatedMem', undefined],
  ['IsStateless', 'false'],
  ['IsRunAndPause', 'false'],
  ['AutoStartup', 'false'],
  ['Priority', '1'],
  ['MigrationSupport', '0'],
  ['IsBootMenuEnabled', 'false'],
  ['IsSpiceFileTransferEnabled', 'true'],
  ['IsSpiceCopyPasteEnabled', 'true'],
  ['AllowConsoleReconnect', 'true'],
  ['ConsoleDisconnectAction', 'LOCK_SCREEN'],
  ['ConsoleDisconnectActionDelay', '0'],
  ['CustomEmulatedMachine', ''],
  ['BiosType', undefined],
  ['CustomCpuName', ''],
  ['PredefinedProperties', ''],
  ['UserDefinedProperties', ''],
  ['MaxMemorySizeMb', undefined],
  ['MultiQueuesEnabled', 'true'],
  ['VirtioScsiMultiQueuesEnabled', 'false'],
  ['UseHostCpu', 'false'],
  ['BalloonEnabled', 'true'],
  ['CpuPinningPolicy', '0'],
  ['ClusterName', undefined],
  ['TemplateId', undefined],
  ['TemplateName', undefined],
  ['IsInitilized', 'false'],
  ['Origin', '3'],
  ['DefaultDisplayType', '2'],
  ['TrustedService', 'false'],
  ['UseLatestVersion', 'false'],
];

/** What `initial` says for a VM made by the API; an imported VM keeps exactly what its OVF had. */
export const initialGeneral: Readonly<Record<string, string>> = Object.fromEntries(
  generalElements.flatMap(([name, initial]) => (initial === undefined ? [] : [[name, initial]])),
);
