// LVM in the appliance: would it pick up a guest's disk that is attached to it? Pure; lvm.conf(5), lvmdevices(8).
import { ok, skipped, warning, type Judgement } from './checks';

export type LvmFacts =
  | { readonly installed: false }
  | {
      readonly installed: true;
      readonly useDevicesFile: boolean;
      readonly devicesFile: string;
      /** undefined: there is no such file, and LVM then looks at all devices. */
      readonly devicesFileEntries: number | undefined;
      readonly globalFilter: readonly string[];
      readonly filter: readonly string[];
    };

/** Names that udev gives a freshly attached disk; LVM looks at all of them. The serial is the disk's id. */
const sampleId = '6f1c2d3e-0000-4000-8000-000000000001';
const attachedDisk: readonly string[] = [
  '/dev/sdq', '/dev/sdq2', `/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_${sampleId}`, `/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_${sampleId}-part2`, '/dev/disk/by-path/pci-0000:00:05.0-scsi-0:0:0:7',
];

export function judgeLvm(facts: LvmFacts): Judgement {
  if (!facts.installed) return skipped('LVM is not installed, so nothing can grab a guest\'s volume groups');
  if (facts.useDevicesFile && facts.devicesFileEntries !== undefined) return ok(`LVM uses only the ${facts.devicesFileEntries} devices in ${facts.devicesFile}`);
  const why = facts.useDevicesFile ? `its devices file ${facts.devicesFile} does not exist` : 'it uses no devices file';
  // A device must pass both filters (lvm.conf: filter is applied after global_filter).
  for (const [name, patterns] of [['global_filter', facts.globalFilter], ['filter', facts.filter]] as const) {
    if (!passesFilter(patterns, attachedDisk)) return ok(`${name} = [${patterns.join(', ')}] keeps LVM away from attached disks`);
  }
  return warning(`LVM would look at a guest's disk that is attached to the appliance and could grab its volume groups: ${why}, and global_filter = [${facts.globalFilter.join(', ')}] lets it through`);
}

/**
 * As LVM does it: for each of a device's names the first pattern that matches counts; one accepted name accepts the device, and one
 * that no pattern knows is not rejected.
 */
export function passesFilter(patterns: readonly string[], names: readonly string[]): boolean {
  const rules = patterns.map(parsePattern).filter((rule) => rule !== undefined);
  const verdictsOfNames = names.map((name) => rules.find(({ matches }) => matches(name))?.accept);
  return verdictsOfNames.includes(true) || !verdictsOfNames.includes(false);
}

interface FilterRule {
  readonly accept: boolean;
  readonly matches: (name: string) => boolean;
}

const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** `a|^/dev/vda|`: the character after the letter delimits a regular expression. A pattern that cannot be read decides nothing. */
function parsePattern(pattern: string): FilterRule | undefined {
  const [letter, delimiter] = [pattern.charAt(0), pattern.charAt(1)];
  const end = pattern.lastIndexOf(closing[delimiter] ?? delimiter);
  if (!/^[ar]$/.test(letter) || end < 2) return undefined;
  try {
    const expression = new RegExp(pattern.slice(2, end));
    return { accept: letter === 'a', matches: (name) => expression.test(name) };
  } catch {
    return undefined;
  }
}
