// A run that must be refused before anything is made: its reasons, and the proof that engine and repository are as they were.
import { HoldfastRunError, type BackupHandle, type BackupVmRequest, type RestoreHandle } from '../../../client';
import { estateOf } from './estate';
import type { Stack } from './stack';

export interface Refusal {
  readonly error: HoldfastRunError;
  /** Codes of all reasons, sorted. */
  readonly codes: readonly string[];
  /** The text of the first reason with this code; there must be one. */
  textOf(code: string): string;
}

export async function refused(stack: Stack, start: () => Promise<BackupHandle | RestoreHandle>, repositoryPath?: string): Promise<Refusal> {
  const before = await estateOf(stack, repositoryPath);
  const handle = stack.track(await start());
  const error: unknown = await handle.result().then(() => new Error('the run was not refused'), (reason: unknown) => reason);
  if (!(error instanceof HoldfastRunError)) throw error;
  expect(await estateOf(stack, repositoryPath)).toEqual(before);
  expect(error.details.leftovers).toEqual([]);
  const { reasons } = error.details;
  // The message alone tells everything: object and remedy of every reason.
  for (const { text } of reasons) expect(error.message).toContain(text);
  return {
    error,
    codes: reasons.map(({ code }) => code).sort(),
    textOf: (code) => {
      const found = reasons.find((reason) => reason.code === code);
      if (!found) throw new Error(`no reason ${code} in: ${error.message}`);
      return found.text;
    },
  };
}

export function refusedBackup(stack: Stack, vmId: string, request: Partial<BackupVmRequest> = {}, repositoryPath?: string): Promise<Refusal> {
  return refused(stack, () => stack.client.backupVm({ engine: stack.engine, repository: stack.repository, vmId, ...request }), repositoryPath);
}

/** Of a run that has to fail. */
export async function failureOf(run: Promise<unknown>): Promise<HoldfastRunError> {
  const outcome: unknown = await run.catch((error: unknown) => error);
  if (outcome instanceof HoldfastRunError) return outcome;
  throw outcome instanceof Error ? outcome : new Error(`the run was expected to fail, not to give ${JSON.stringify(outcome)}`);
}
