// Which method does a run use whose caller leaves it open, and why? Pure; asked before anything is acquired.
import type { Manifest, Note } from './manifest';

export const methodReasonCodes = ['method.insists', 'method.tracked', 'method.no-appliance', 'method.no-worker', 'method.refused', 'method.untracked', 'method.appliance'] as const;
export type MethodReasonCode = (typeof methodReasonCodes)[number];

export interface MethodChoice {
  readonly method: Manifest['method'];
  readonly reason: Note & { readonly code: MethodReasonCode };
}

/** Whether a worker answers in the appliance; undefined: the engine has none configured and none is named. */
export interface ApplianceAnswer {
  readonly applianceId: string;
  readonly isServed: boolean;
}

export interface BackupMethodFacts {
  /** The caller wants an incremental or differential backup or none. */
  readonly insistsOnChain: boolean;
  readonly disks: number;
  readonly trackedDisks: number;
  /** What forbids the method `transfer`, in the words of the first reason. */
  readonly refusal: string | undefined;
  readonly appliance: ApplianceAnswer | undefined;
}

const because = (method: MethodChoice['method'], code: MethodReasonCode, text: string): MethodChoice => ({ method, reason: { code, text } });

/** The method `transfer` when it can read what changed alone, or when there is no other. */
export function chooseBackupMethod({ insistsOnChain, disks, trackedDisks, refusal, appliance }: BackupMethodFacts): MethodChoice {
  if (insistsOnChain) return because('transfer', 'method.insists', 'The method is "transfer": the method "appliance" makes full backups only, and another kind is insisted on.');
  if (refusal === undefined && trackedDisks > 0) return because('transfer', 'method.tracked', `The method is "transfer": ${trackedDisks} of ${disks} ${disks === 1 ? 'disk has' : 'disks have'} change tracking, so that later backups read only what changed.`);
  const otherwise = withoutAppliance(appliance);
  if (otherwise) return otherwise;
  if (refusal !== undefined) return because('appliance', 'method.refused', `The method is "appliance": the method "transfer" is not possible now. ${refusal}`);
  return because('appliance', 'method.untracked', 'The method is "appliance": no disk of the VM has change tracking, so every backup reads whole disks, which the appliance does without a host in between.');
}

/** Whole disks are written either way: the appliance writes them without a host in between. */
export function chooseRestoreMethod(appliance: ApplianceAnswer | undefined): MethodChoice {
  return withoutAppliance(appliance) ?? because('appliance', 'method.appliance', 'The method is "appliance": a worker in the appliance answers, and writes without a host in between.');
}

function withoutAppliance(appliance: ApplianceAnswer | undefined): MethodChoice | undefined {
  if (!appliance) return because('transfer', 'method.no-appliance', 'The method is "transfer": the engine has no appliance configured, and none is named.');
  if (!appliance.isServed) return because('transfer', 'method.no-worker', `The method is "transfer": no worker answers in the appliance ${appliance.applianceId}.`);
  return undefined;
}
