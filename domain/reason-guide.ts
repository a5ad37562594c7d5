// Why a backup is of its method and kind: every code, what it means, and what makes the next backup a smaller one where that is possible. The
// sentence with names and ids comes with the code itself (manifest, result, progress). The compiler enforces one entry per code; docs/operators.md
// and the published messages show them.
import type { ChainReasonCode } from './chain';
import type { MethodReasonCode } from './choose-method';

export interface ReasonGuidance {
  /** What part of a backup it explains. */
  readonly about: 'method' | 'kind' | 'disk' | 'note';
  readonly meaning: string;
  readonly remedy: string;
}

const nothing = 'Nothing.';
const nextContinues = 'Nothing: the next backup continues from this one.';
const mend = 'Nothing for the next backups: they continue from this one.';

export const reasonGuide = {
  'method.full-only': { about: 'kind', meaning: 'The method `appliance` reads whole disks.', remedy: 'For incremental backups use the method `transfer`.' },
  'method.insists': { about: 'method', meaning: '`auto`: another kind than full is insisted on, which only the method `transfer` can make.', remedy: nothing },
  'method.tracked': { about: 'method', meaning: '`auto`: disks have change tracking, so the method `transfer` can read what changed alone.', remedy: nothing },
  'method.no-appliance': { about: 'method', meaning: '`auto`: the engine has no appliance configured, and none is named.', remedy: nothing },
  'method.no-worker': { about: 'method', meaning: '`auto`: no worker answers in the appliance.', remedy: 'Start its worker, if the appliance was meant to be used.' },
  'method.refused': { about: 'method', meaning: '`auto`: the method `transfer` was not possible at that moment, for the reason in the sentence.', remedy: 'Remove that reason.' },
  'method.untracked': { about: 'method', meaning: '`auto`: no disk of the VM has change tracking.', remedy: 'Enable incremental backup on its disks in the engine; their format must be cow.' },
  'method.appliance': { about: 'method', meaning: '`auto`, of a restore: a worker in the appliance answers.', remedy: nothing },

  'chain.continued': { about: 'kind', meaning: 'It lies on an earlier backup, which the sentence names.', remedy: nothing },
  'kind.asked': { about: 'kind', meaning: 'A full backup was asked for.', remedy: 'Ask for `auto` to continue chains.' },
  'chain.first': { about: 'kind', meaning: 'There is no backup of the VM by the method `transfer` in this repository that it could lie on.', remedy: nextContinues },
  'chain.too-long': { about: 'kind', meaning: 'The chain has as many backups as the configuration allows.', remedy: mend },
  'chain.full-due': { about: 'kind', meaning: 'The chain\'s full backup is as old as the configuration allows.', remedy: mend },
  'chain.no-tracking': { about: 'kind', meaning: 'No disk of the VM has change tracking.', remedy: 'Enable incremental backup on its disks in the engine; their format must be cow.' },
  'chain.nothing-tracked': { about: 'kind', meaning: 'Every disk would have been read in full within the incremental backup.', remedy: 'Look at the reasons of the disks.' },
  'base.not-sealed': { about: 'kind', meaning: 'The last backup was never sealed.', remedy: nextContinues },
  'base.incomplete': { about: 'kind', meaning: 'A backup that the last one lies on is missing in the repository.', remedy: 'Bring it back from a copy of the repository, if older backups are still to be restored.' },
  'base.damaged': { about: 'kind', meaning: 'The backup that this one was to lie on, or one below it, is damaged: an image, a manifest, a block.', remedy: 'Verify it (`holdfast verify --chain`), look at the repository\'s storage, and do not count on that chain.' },
  'base.contradicted': { about: 'kind', meaning: 'The witness of the last run did not agree: what the engine recorded as changed, or a backup that the last one lay on, is wrong.', remedy: 'Nothing: this full backup begins anew. Look at the events of the host and the storage before it; backups since the last one that was witnessed may be wrong.' },
  'base.failing': { about: 'kind', meaning: 'The last verification of a backup of the chain failed.', remedy: 'Look at the repository\'s storage; verify again once it is mended.' },
  'base.expired': { about: 'kind', meaning: 'Retention no longer keeps the last backup.', remedy: nextContinues },
  'base.no-checkpoint': { about: 'kind', meaning: 'The last backup has no checkpoint, because none of its disks was tracked then.', remedy: nextContinues },
  'checkpoint.missing': { about: 'kind', meaning: 'The engine no longer has the checkpoint of the last backup: another product removed it, or the engine removed all of the VM\'s (event 10791).', remedy: `${nextContinues} If it happens again, find out which other product backs the VM up.` },
  'checkpoint.wiped': { about: 'kind', meaning: 'A disk of the VM was detached since, a snapshot\'s included: newer engines wipe its change tracking then. A backup by the method `appliance` does that too.', remedy: 'Back the VM up by one method only.' },
  'checkpoint.foreign': { about: 'kind', meaning: 'The checkpoint that the last backup names was not made by Holdfast on this engine.', remedy: nextContinues },
  'checkpoint.invalid': { about: 'kind', meaning: 'The engine calls the checkpoint, or one after it, invalid.', remedy: 'Ours is removed by itself; an invalid one of another product has to be removed there.' },
  'checkpoint.broken-line': { about: 'kind', meaning: 'The checkpoint is not on one line with the VM\'s newest one.', remedy: nextContinues },
  'checkpoint.refused': { about: 'kind', meaning: 'The engine refused to go on from the checkpoint when the VM backup began; the sentence has its words.', remedy: `${nextContinues} If it happens every time, look at the engine's events 10791 and 10797 of the VM.` },
  'checkpoint.unusable': { about: 'kind', meaning: 'Only while a disk was read it turned out that nobody can tell what changed: the host had lost its bitmap.', remedy: `${nextContinues} If it happens every time, look at the VM's disks on the host (\`qemu-img info\` lists bitmaps).` },
  'snapshot.restored': { about: 'kind', meaning: 'A snapshot of the VM was restored or committed since the last backup.', remedy: nextContinues },

  'disk.no-tracking': { about: 'disk', meaning: 'The disk has no change tracking, so it is read in full each time.', remedy: 'Enable incremental backup on it in the engine; its format must be cow.' },
  'disk.added': { about: 'disk', meaning: 'The disk is not in the backup below.', remedy: nextContinues },
  'disk.resized': { about: 'disk', meaning: 'The disk was resized since the backup below.', remedy: nextContinues },
  'disk.wiped': { about: 'disk', meaning: 'The disk, or a snapshot of it, was detached since: newer engines wipe its change tracking then.', remedy: 'Back the VM up by one method only.' },
  'disk.not-in-checkpoint': { about: 'disk', meaning: 'The disk was not tracked yet when the backup below was made, or its tracking was wiped since.', remedy: nextContinues },
  'disk.engine-full': { about: 'disk', meaning: 'The engine decided so when the VM backup began.', remedy: `${nextContinues} If it happens every time, look at the engine's events of the VM.` },

  'disk.removed': { about: 'note', meaning: 'A disk of the backup below is not in this one.', remedy: nothing },
  'checkpoint.others-between': { about: 'note', meaning: 'Another product made checkpoints of the VM since the backup below; they do no harm and are left alone.', remedy: nothing },
} as const satisfies Record<ChainReasonCode | MethodReasonCode | 'method.full-only', ReasonGuidance>;
