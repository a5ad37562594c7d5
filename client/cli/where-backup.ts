// Where a backup lies, for commands that name it by its id: what the caller says, else what the catalog says, else the configuration.
import type { HoldfastClient } from '../holdfast-client';
import { HoldfastClientError } from '../errors';
import { given } from './options';
import type { Session } from './session';

export interface WhereOptions {
  readonly engine?: string;
  readonly repository?: string;
  readonly vm?: string;
}

/** With everything given nothing is asked: a restore must be possible when the catalog knows nothing. */
export async function whereBackup(session: Session, client: HoldfastClient, backupId: string, needsVm: boolean, { engine: givenEngine, repository: fromRepository, vm }: WhereOptions): Promise<{ readonly engine: string; readonly repository: string; readonly vmId?: string }> {
  if (givenEngine !== undefined && fromRepository !== undefined && (!needsVm || vm !== undefined)) return { engine: givenEngine, repository: fromRepository, ...given({ vmId: vm }) };
  const { backups } = await client.listBackups({ backupId });
  const known = backups.find((backup) => fromRepository === undefined || backup.repository === fromRepository);
  const repository = fromRepository ?? known?.repository ?? session.config.repository;
  const engine = session.config.engine ?? known?.engine;
  const vmId = needsVm ? (vm ?? known?.vmId) : undefined;
  if (repository !== undefined && engine !== undefined && (!needsVm || vmId !== undefined)) return { engine, repository, ...given({ vmId }) };
  throw new HoldfastClientError('client.not-found', `The catalog has no backup ${backupId}. If it is in a repository all the same, name that with --repository and the engine with --engine${needsVm ? ', the VM with --vm' : ''}, or rebuild the catalog (holdfast catalog rebuild).`, { backupId });
}
