// What went wrong at a data daemon, as one of our failures. Never the ticket: whoever has it may read the disk.
import { HoldfastError, type FailureCode } from '../../domain/failures';
import { causeCode, causeMessage, certificateCodes, connectCodes } from '../network-causes';

export interface Subject {
  /** Disk and transfer, in words. */
  readonly label: string;
  /** Scheme, host and port, or the unix socket. */
  readonly where: string;
  readonly ticket: string;
}

const remedies: Readonly<Partial<Record<FailureCode, string>>> = {
  'imageio.ticket-gone': 'The engine has to give a new one: the transfer or its host\'s ticket has ended.',
  'imageio.unreachable': 'Open the daemon\'s port to this worker and see that ovirt-imageio runs on the host.',
  'imageio.certificate': 'Set caFile to the engine\'s CA, and see that the host\'s certificate is valid and names that host.',
  'imageio.no-changes': 'The disk can only be read in full.',
};

export function imageioFailure(code: FailureCode, subject: Subject, what: string, why: string, details: Readonly<Record<string, unknown>> = {}, cause?: unknown): HoldfastError {
  const text = `${subject.label}: ${what} at ${subject.where} failed: ${why}`.replaceAll(subject.ticket, '<ticket>').replace(/\s+/g, ' ').replace(/[.\s]*$/, '.');
  return new HoldfastError(code, `${text} ${remedies[code] ?? ''}`.trim(), { where: subject.where, ...details }, cause === undefined ? undefined : { cause });
}

/** The daemon answers refusals in plain text. */
export function statusFailure(subject: Subject, what: string, status: number, text: string): HoldfastError {
  const code: FailureCode = status === 403 ? 'imageio.ticket-gone' : status >= 400 && status < 500 ? 'imageio.refused' : 'imageio.io';
  return imageioFailure(code, subject, what, `HTTP ${status}, ${text.slice(0, 500).trim() || 'without a text'}`, { status });
}

export function networkFailure(subject: Subject, what: string, cause: unknown): HoldfastError {
  const code = causeCode(cause);
  const why = `${causeMessage(cause)} (${code})`;
  if (certificateCodes.test(code)) return imageioFailure('imageio.certificate', subject, what, why, { cause: code }, cause);
  return imageioFailure(connectCodes.test(code) ? 'imageio.unreachable' : 'imageio.io', subject, what, why, { cause: code }, cause);
}
