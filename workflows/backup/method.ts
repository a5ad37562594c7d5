// Which way does the data go? What the caller says; or what engine, disks and appliance allow, with the reason, before anything is acquired.
import { chooseBackupMethod } from '../../domain/choose-method';
import type { Note } from '../../domain/manifest';
import { applianceAnswer } from '../planning';
import type { Backup } from './backup';
import { transferPlanned, type TransferPlan } from './plan-transfer';

/** `notes`: why this method, when it was the run's to choose. */
export type Way = { readonly notes: readonly Note[] } & ({ readonly method: 'appliance' } | { readonly method: 'transfer'; readonly plan: TransferPlan });

export async function methodChosen(backup: Backup): Promise<Way> {
  const { input, run, proxies, applianceId } = backup;
  if (input.method === 'appliance') return { method: 'appliance', notes: [] };
  const plan = await transferPlanned(backup);
  if (input.method === 'transfer') return { method: 'transfer', plan, notes: [] };
  const facts = {
    insistsOnChain: input.strict && (input.kind === 'incremental' || input.kind === 'differential'),
    disks: plan.disks.length,
    trackedDisks: plan.disks.filter((disk) => disk.backup === 'incremental').length,
    refusal: plan.reasons[0]?.text,
  };
  const appliance = await applianceAnswer(proxies, { engine: input.engine, runId: run.runId, repository: input.repository, applianceId });
  const { method, reason } = chooseBackupMethod({ ...facts, appliance });
  if (method === 'transfer') return { method, plan, notes: [reason] };
  run.decided({ method, kind: 'full', notes: [reason] });
  return { method, notes: [reason] };
}
