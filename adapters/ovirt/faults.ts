// What the engine says when it refuses, turned into one of our failure codes. Pure. The texts are the engine's own English
// ones, as read in its source and seen on a running engine; the HTTP status alone is not enough, because 409 means both
// "busy, ask again" and "never", and 500 is also used for plain validation.
import { z } from 'zod';
import { type FailureCode, ruleOf } from '../../domain/failures';

export interface Fault {
  readonly reason: string;
  readonly detail: string;
  /** `fault`: the engine's own form · `empty` · `foreign`: HTML or other text, from a servlet filter or a proxy. */
  readonly shape: 'fault' | 'empty' | 'foreign';
}

/** States that pass by themselves: the engine holds a lock, or the VM is on its way from one state to another. */
const busyTexts: readonly RegExp[] = [
  /\b(?:is|are) locked\b/i,
  /\bin LOCKED status\b/i,
  /\bis currently being created\b/i,
  /\bis being (?:removed|moved or copied|transferred)\b/i,
  /\bRelated operation is currently in progress\b/i,
  /\bis during a (?:backup|checkpoint removal) operation\b/i,
  /\bis performing an operation on a Snapshot\b/i,
  // Ending a VM backup: its transfers end by themselves or are ended by whoever started them.
  /\bactive image transfer for VM backup\b/i,
  /\bPlease try again (?:later|in a few minutes)\b/i,
  /\bthe VM is in (?:MigratingFrom|MigratingTo|ImageLocked|SavingState|RestoringState|WaitForLaunch|PoweringUp|PoweringDown|RebootInProgress) status\b/i,
  // Removing a snapshot: the text does not name the state, which mostly is a migration or a start on its way.
  /\bmust be in status Down, Up or Paused\b/i,
  /\bStorage Domain's status is (?:Locked|Activating)\b/i,
];
const illegalTexts: readonly RegExp[] = [/\bILLEGAL status\b/i, /\bin an illegal state\b/i, /\bImageIllegal status\b/i];
const absentTexts: readonly RegExp[] = [
  /\b(?:snapshot|disks?|disk\(s\) ID\(s\)|VM|Virtual Machine|backup)\b[^.[\]]*\bdo(?:es)?(?:n't| not) exist\b/i,
  /\bis already detached\b/i,
  /\bdisk(?: \S+)? is not attached to the VM\b/i,
  /\bEntity not found\b/i,
];

const matches = (patterns: readonly RegExp[], text: string): boolean => patterns.some((pattern) => pattern.test(text));

function classifyBadRequest(text: string, detail: string): FailureCode {
  if (matches(illegalTexts, text)) return 'disk.illegal';
  if (matches(absentTexts, text)) return 'engine.not-found';
  // Observed: no SPM or no host up gives 400 with an empty message list; the same request passes once one is back.
  return detail.trim() === '[]' ? 'engine.unavailable' : 'engine.refused';
}

function classifyServerError(text: string): FailureCode {
  if (matches(illegalTexts, text)) return 'disk.illegal';
  // Validation faults of type DATA_CORRUPTION or INTERNAL_ERROR: repeating the same request gives the same answer.
  return /\bCannot \w+|\bGeneral command validation failure\b/i.test(text) ? 'engine.conflict' : 'engine.unavailable';
}

/** The code for an answer that is not a success. `reason` and `detail` are the fault's, empty when there was none. */
export function classifyFault(httpStatus: number, reason: string, detail: string): FailureCode {
  const text = `${reason} ${detail}`;
  switch (httpStatus) {
    case 400:
      return classifyBadRequest(text, detail);
    case 401:
      return 'engine.unauthorized';
    case 403:
      return 'engine.forbidden';
    case 404:
      return 'engine.not-found';
    case 409:
      if (matches(busyTexts, text)) return 'engine.locked';
      return matches(illegalTexts, text) ? 'disk.illegal' : 'engine.conflict';
    case 408:
    case 429:
      return 'engine.unavailable';
    case 500:
      return classifyServerError(text);
    default:
      if (httpStatus > 500) return 'engine.unavailable';
      return httpStatus > 400 && httpStatus !== 405 ? 'engine.refused' : 'engine.protocol';
  }
}

/**
 * Like `classifyFault`, but an answer in foreign form says nothing about the object: a 404 page of a proxy or of an engine
 * that is still starting must never be taken for "this snapshot is gone", or an undo would believe it is done.
 */
export function classifyAnswer(httpStatus: number, fault: Fault): FailureCode {
  if (fault.shape === 'foreign' && (httpStatus === 404 || httpStatus === 500)) return 'engine.protocol';
  return classifyFault(httpStatus, fault.reason, fault.detail);
}

const faultSchema = z.object({ reason: z.string().optional(), detail: z.string().optional() });
const faultBodySchema = z.union([
  z.object({ fault: faultSchema }).transform((body) => body.fault),
  faultSchema.refine((body) => body.reason !== undefined || body.detail !== undefined),
]);

/** Reads the body of a refused request: action faults are nested, others at top level, some answers are no fault at all. */
export function readFault(text: string): Fault {
  if (text.trim() === '') return { reason: '', detail: '', shape: 'empty' };
  const parsed = faultBodySchema.safeParse(parseJson(text));
  if (parsed.success) return { reason: parsed.data.reason ?? '', detail: parsed.data.detail ?? '', shape: 'fault' };
  // An engine that ignores Accept answers in XML: the words still count.
  return { reason: '', detail: excerpt(text), shape: /<fault>/i.test(text) ? 'fault' : 'foreign' };
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** A few words of a page, without tags, scripts and line breaks: enough to recognise who answered. */
export function excerpt(text: string, maxCharacters = 160): string {
  const words = text
    .replace(/<(script|style)\b[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return words.length > maxCharacters ? `${words.slice(0, maxCharacters)}…` : words;
}

const remedies: Partial<Record<FailureCode, string>> = {
  'engine.unauthorized': "Check this engine's user name (with its profile, such as admin@internal), its password file, and that the user has permissions.",
  'engine.forbidden': 'Give the user of this engine the missing permission, or use one with the SuperUser role.',
  'engine.not-found': 'It may have been removed meanwhile.',
  'engine.protocol': "Check that this engine's url is the engine itself and not another service or a proxy's page.",
  'disk.illegal': 'Look at the disk in the engine: an illegal volume must be repaired or removed there first.',
};

/** What to do, as a sentence, or nothing when the engine's own words already say it. */
export function remedyFor(code: FailureCode): string {
  const remedy = remedies[code] ?? (ruleOf(code).retry ? 'It is tried again.' : '');
  return remedy === '' ? '' : ` ${remedy}`;
}

/** The engine's sentence without its brackets; the reason when there is no detail. */
export function faultText(fault: Fault): string {
  const detail = fault.detail.trim().replace(/^\[(.*)\]$/s, '$1').trim();
  return detail === '' ? fault.reason.trim() : detail;
}
