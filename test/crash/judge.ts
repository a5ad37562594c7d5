// What a run made, judged from outside: the repository through qemu-img, the engine through its API. What it left behind is the harness's look.
import type { Lane } from './lane';
import type { Ending } from './ending';
import { backupsOf, checkRestored, checkSealed, contentsOf, everBegun, filesOf, manifestOf, type Backup, type Contents, type Restored } from './outside';
import type { Started } from './runs';
import type { Shape } from './shapes';
import type { Source } from './sources';
import { idsOf } from './steps';

/** What the run made that is meant to be there: the outside look must not call it a leftover. */
export interface Products {
  readonly backups: readonly Backup[];
  readonly restored: readonly Restored[];
  /** Ids and paths by which a leftover is told to be this cell's. */
  readonly marks: readonly string[];
}

interface Before {
  readonly backups: readonly Backup[];
  readonly files: readonly string[];
  readonly begun: number;
  readonly contents: Contents;
  readonly source: Source | undefined;
}

interface Ran {
  readonly shape: Shape;
  readonly outcome: Ending['outcome'];
  readonly run: Started;
}

type Verdict = { readonly problems: readonly string[] } & Partial<Pick<Products, 'backups' | 'restored'>>;

export const marksOf = ({ vm, repositoryPath }: Lane): readonly string[] => [vm.id, vm.name, ...vm.disks.map(({ id }) => id), repositoryPath];

export async function lookBefore(lane: Lane, shape: Shape, source: Source | undefined): Promise<Before> {
  // The terminated run has replaced the VM, which has the content of a backup now.
  if (shape.standsAnew) await lane.reread();
  const { stack, vm } = lane;
  return { backups: await backupsOf(lane, vm.id), files: await filesOf(lane.repositoryPath), begun: await everBegun(stack, vm, shape.method), contents: contentsOf(vm), source };
}

export async function judge(lane: Lane, ran: Ran, before: Before): Promise<{ readonly problems: readonly string[]; readonly products: Products }> {
  const marks = [...marksOf(lane), ran.run.vmName, ...(await idsOf(lane.client, ran.run.workflowId))];
  const { backups = [], restored = [], problems } = await verdictOf(lane, ran, before);
  return { problems, products: { backups, restored, marks: [...new Set([...marks, ...marksOf(lane), ...restored.flatMap(({ vmId, diskIds }) => [vmId, ...diskIds])])] } };
}

function verdictOf(lane: Lane, ran: Ran, before: Before): Promise<Verdict> {
  const { flow, as } = ran.shape;
  if (flow === 'verifyBackup') return ofVerification(lane, before);
  if (flow === 'backupVm') return ofBackup(lane, ran, before);
  return as ? ofOwnVm(lane, ran, before) : ofNewVm(lane, ran, before);
}

async function ofVerification(lane: Lane, before: Before): Promise<Verdict> {
  const changed = (await filesOf(lane.repositoryPath)).filter((file) => !before.files.includes(file));
  return { problems: changed.map((file) => `the verification changed the repository: ${file}`) };
}

async function ofNewVm({ stack }: Lane, { outcome, run }: Ran, { source }: Before): Promise<Verdict> {
  const { restored, problems } = await checkRestored(stack, run.vmName, source?.contents ?? new Map());
  if (outcome !== 'completed') return { problems: restored ? [`the engine has a VM ${run.vmName} although the restore was ${outcome}`] : [] };
  return { problems, restored: restored ? [restored] : [] };
}

async function ofOwnVm(lane: Lane, { outcome }: Ran, { source, contents }: Before): Promise<Verdict> {
  const { stack, vm } = lane;
  const { restored, problems } = await checkRestored(stack, vm.name, outcome === 'completed' && source ? source.contents : contents);
  // It has other disks, whatever the outcome.
  await lane.reread();
  return { problems: [...problems, ...(restored?.vmId === vm.id ? [] : [`VM ${vm.name} is not there under its own id ${vm.id}`])] };
}

async function ofBackup(lane: Lane, { shape, outcome }: Ran, before: Before): Promise<Verdict> {
  // Of a running guest nobody knows what it has written.
  await lane.lookAgain();
  const { stack, vm } = lane;
  const problems: string[] = [];
  const [begun, most] = [(await everBegun(stack, vm, shape.method)) - before.begun, shape.begins ?? 1];
  if (begun > most || (begun === 0 && outcome === 'completed')) problems.push(`the engine began ${begun} ${shape.method === 'transfer' ? 'VM backups' : 'snapshots'} instead of ${most}`);
  const backups = (await backupsOf(lane, vm.id)).filter(({ backupId }) => !before.backups.some((each) => each.backupId === backupId));
  if (backups.length !== (outcome === 'completed' ? 1 : 0)) problems.push(`the run left ${backups.length} backups in the repository`);
  for (const backup of backups) {
    try {
      problems.push(...(await checkSealed(stack, backup, vm)), ...(await otherThanWanted(lane, shape, backup, before)));
    } catch (error) {
      problems.push(`backup ${backup.backupId} cannot be read: ${String(error)}`);
    }
  }
  return { problems, backups };
}

async function otherThanWanted({ sources }: Lane, { makes }: Shape, backup: Backup, before: Before): Promise<readonly string[]> {
  if (!makes) return [];
  const { kind, base } = await manifestOf(backup);
  if (kind !== makes.kind) return [`backup ${backup.backupId} is ${kind}, not ${makes.kind}`];
  if (makes.kind === 'full') return [];
  const kept = sources.all.map(({ backupId }) => backupId);
  const wanted = makes.on === 'the one before' ? before.backups.filter(({ backupId }) => !kept.includes(backupId)) : [await sources.get(makes.on)];
  return wanted.some(({ backupId }) => backupId === base?.backupId) ? [] : [`backup ${backup.backupId} lies on ${base?.backupId ?? 'nothing'}, not on ${makes.on}`];
}
