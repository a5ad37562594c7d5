// Has every VM a backup that is as fresh as its recovery point objective asks? Pure: the rule for one VM, which the catalog applies to a whole inventory
// in one statement (adapters/catalog/inventory.ts; a test compares the two), and the text of the alerts.
// Not judged is infrastructure, which is Holdfast's appliances and the engine's own VM: an appliance holds nothing of its own, and the engine refuses a
// backup of the VM that it runs in. Exempt is what the configuration says needs no backup. Templates are no VMs, the engine lists them elsewhere.
import { z } from 'zod';
import { configNameSchema } from '../ids';
import { clippedLine, formatDuration } from '../units';

/** `*`: any characters, `?`: one, everything else is itself. Case counts, as it does in the engine's own names. */
const nameGlobSchema = z.string().min(1).max(255);
/** Looked for by the engine's search, which knows wildcards and quotes. */
const tagSchema = z.string().regex(/^[^"*\p{Cc}]{1,50}$/u, 'must be the name of a tag: 1-50 characters without quotes and "*"');

const commonShape = {
  name: configNameSchema,
  vms: z.union([z.strictObject({ name: nameGlobSchema }), z.strictObject({ tag: tagSchema })], 'must be { name: <pattern> } or { tag: <tag> }'),
};

const freshnessSchema = z.strictObject({
  ...commonShape,
  /** The newest backup is at most so old; fractions are allowed. Beyond a hundred years PostgreSQL's dates end. */
  maxAgeHours: z.number({ error: ({ input }) => (input === undefined ? 'must be given, or "exempt: true" for VMs that need no backup' : undefined) }).positive().max(876_000),
  /** The newest backup was re-read, and found good, within so many hours. Absent: not asked. */
  verifiedWithinHours: z.number().positive().max(876_000).optional(),
  exempt: z.literal(false).optional(),
});
export type FreshnessObjective = z.infer<typeof freshnessSchema>;

/** Its VMs need no backup. */
const exemptionSchema = z.strictObject({
  ...commonShape,
  exempt: z.literal(true),
  maxAgeHours: z.never('asks for backups that "exempt: true" says are not needed: give one of the two').optional(),
  verifiedWithinHours: z.never('asks for backups that "exempt: true" says are not needed').optional(),
});

const vmObjectiveSchema = z.discriminatedUnion('exempt', [freshnessSchema, exemptionSchema]);
export type VmObjective = z.infer<typeof vmObjectiveSchema>;

/** In the order in which they are tried: a VM's objective is the first that its name or one of its tags matches. Their alerts are told apart by name. */
export const vmObjectivesSchema = z.array(vmObjectiveSchema).max(50).superRefine((objectives, context) => {
  for (const [place, { name }] of objectives.entries()) {
    if (objectives.findIndex((other) => other.name === name) < place) context.addIssue({ code: 'custom', path: [place, 'name'], message: `"${name}" is the name of an objective before it` });
  }
});

/** What can be wrong with a VM, worst first. */
export const wrongVmStates = ['never', 'too-old', 'not-verified', 'uncovered'] as const;
export type WrongVmState = (typeof wrongVmStates)[number];
/** Those that are listed: nobody is to be exempt unknowingly. */
export const listedVmStates = [...wrongVmStates, 'exempt'] as const;
export type VmState = 'fresh' | (typeof listedVmStates)[number];

export interface VmFacts {
  readonly name: string;
  readonly tags: readonly string[];
  /** An appliance, or the VM that the engine runs in. */
  readonly isInfrastructure: boolean;
  /** Sealed, in any order. A backup of a time that has not come does not count: the clock that dated it is wrong. */
  readonly backups: readonly { readonly createdAtMs: number; /** The newest of each place where it lies. */ readonly verifications: readonly { readonly passed: boolean; readonly verifiedAtMs: number }[] }[];
}

export interface VmVerdict {
  /** Absent: uncovered. */
  readonly objective?: string;
  readonly state: VmState;
  readonly newestBackupAtMs?: number;
}

const hourMs = 3_600_000;

/** LIKE's spelling of a name pattern; `\` is its escape. */
export function likePatternOf(glob: string): string {
  return glob.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%').replaceAll('?', '_');
}

function matches(glob: string, name: string): boolean {
  const source = glob.replace(/[\\^$.*+?()[\]{}|/]/g, (letter) => (letter === '*' ? '.*' : letter === '?' ? '.' : `\\${letter}`));
  return new RegExp(`^${source}$`, 'su').test(name);
}

export function objectiveOf(vm: Pick<VmFacts, 'name' | 'tags'>, objectives: readonly VmObjective[]): VmObjective | undefined {
  return objectives.find(({ vms }) => ('name' in vms ? matches(vms.name, vm.name) : vm.tags.includes(vms.tag)));
}

export function asksForBackups(objective: VmObjective): objective is FreshnessObjective {
  return objective.exempt !== true;
}

/** Undefined: it is not judged, because it is infrastructure or there is no objective at all. */
export function judgeVm(vm: VmFacts, objectives: readonly VmObjective[], nowMs: number): VmVerdict | undefined {
  if (vm.isInfrastructure || objectives.length === 0) return undefined;
  const [newest] = vm.backups.filter(({ createdAtMs }) => createdAtMs <= nowMs).sort((one, other) => other.createdAtMs - one.createdAtMs);
  const dated = newest === undefined ? {} : { newestBackupAtMs: newest.createdAtMs };
  const objective = objectiveOf(vm, objectives);
  if (!objective) return { state: 'uncovered', ...dated };
  if (!asksForBackups(objective)) return { objective: objective.name, state: 'exempt', ...dated };
  const { name, maxAgeHours, verifiedWithinHours } = objective;
  if (!newest) return { objective: name, state: 'never' };
  if (nowMs - newest.createdAtMs > maxAgeHours * hourMs) return { objective: name, state: 'too-old', ...dated };
  // One place from which it can be restored is enough.
  const isVerified = verifiedWithinHours === undefined || newest.verifications.some(({ passed, verifiedAtMs }) => passed && nowMs - verifiedAtMs <= verifiedWithinHours * hourMs);
  return { objective: name, state: isVerified ? 'fresh' : 'not-verified', ...dated };
}

/** Of one objective, or of the VMs that none covers. */
export interface VmCounts {
  readonly vms: number;
  /** Only states that occur. */
  readonly wrong: Readonly<Partial<Record<WrongVmState, number>>>;
  /** Names of VMs that are not fresh, worst first, five at most. */
  readonly examples: readonly string[];
}

export const mostExamples = 5;
const longestNameBytes = 80;

/** What is wrong with an objective's VMs, what is at risk, and the command that mends it. Undefined: nothing is wrong. */
export function objectiveAlertText(engine: string, objective: FreshnessObjective, counts: VmCounts): string | undefined {
  const wrong = wrongOf(counts);
  if (wrong === 0) return undefined;
  const { never = 0, 'too-old': tooOld = 0, 'not-verified': notVerified = 0 } = counts.wrong;
  const hours = (count: number): string => formatDuration(count * 3600);
  const { verifiedWithinHours = 0 } = objective;
  const parts = [
    ...(never === 0 ? [] : [`${never} without any backup`]),
    ...(tooOld === 0 ? [] : [`${tooOld} whose newest backup is older than ${hours(objective.maxAgeHours)}`]),
    ...(notVerified === 0 ? [] : [`${notVerified} whose newest backup was not verified within ${hours(verifiedWithinHours)}, or failed it`]),
  ];
  const risks = [
    ...(never === 0 ? [] : ['A VM without a backup cannot be restored at all.']),
    ...(tooOld === 0 ? [] : ['What changed in a VM since its newest backup is lost with its disks.']),
    ...(notVerified === 0 ? [] : ['Whether a backup that was not verified can be restored is not known.']),
  ];
  const remedies = [
    ...(never + tooOld === 0 ? [] : [`Back up: holdfast backup vm <name> --engine ${engine} --repository <repository>.`]),
    ...(notVerified === 0 ? [] : ['Verify: holdfast verify <backup>.']),
  ];
  return [`${wrong} of ${vms(counts.vms)} under the objective ${objective.name} of engine ${engine} ${wrong === 1 ? 'is' : 'are'} not backed up as it asks: ${parts.join(', ')} (${examplesOf(counts, wrong)}).`, ...risks, ...remedies, allOf(engine)].join(' ');
}

/** `judged`: all VMs of the engine that were, so none that is exempt. Undefined: every VM has an objective. */
export function uncoveredAlertText(engine: string, counts: VmCounts, judged: number): string | undefined {
  const wrong = wrongOf(counts);
  if (wrong === 0) return undefined;
  return `${wrong} of ${vms(judged)} of engine ${engine} ${wrong === 1 ? 'is' : 'are'} covered by no objective (${examplesOf(counts, wrong)}). Nobody is warned when ${wrong === 1 ? 'its backups' : 'their backups'} stop, or never began. ` +
    `Give ${wrong === 1 ? 'it' : 'them'} an objective (engines.${engine}.awareness.vms in the configuration of the control workers, by name or tag), and back up: holdfast backup vm <name> --engine ${engine} --repository <repository>. ` +
    `Or exempt ${wrong === 1 ? 'it' : 'them'} there, when no backup is needed. ${allOf(engine)}`;
}

function wrongOf({ wrong }: VmCounts): number {
  return wrongVmStates.reduce((sum, state) => sum + (wrong[state] ?? 0), 0);
}

function vms(count: number): string {
  return `${count} ${count === 1 ? 'VM' : 'VMs'}`;
}

function examplesOf({ examples }: VmCounts, wrong: number): string {
  const named = examples.slice(0, mostExamples).map((name) => clippedLine(name, longestNameBytes));
  return `${named.join(', ')}${wrong > named.length ? ' and others' : ''}`;
}

function allOf(engine: string): string {
  return `All of them: holdfast awareness status --vms --engine ${engine}.`;
}
