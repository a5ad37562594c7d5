// Everything that is not a success. How it looks on the wire (Fault, empty body, HTML) was observed on a real
// engine and differs by place (engine-rules.md section 7), so the kind travels with the error.

export class HttpFault extends Error {
  constructor(
    readonly status: number,
    readonly kind: 'fault' | 'empty' | 'html' | 'plain',
    readonly reason: string,
    readonly detail: string,
  ) {
    super(detail === '' ? reason : `${reason}: ${detail}`);
  }
}

/** A validation of the engine said no: `[text]` under "Operation Failed". */
export function operationFailed(status: number, text: string): HttpFault {
  return new HttpFault(status, 'fault', 'Operation Failed', `[${text}]`);
}

/** VMs, disks, jobs, clusters, …: a 404 without a body. */
export function notFound(): HttpFault {
  return new HttpFault(404, 'empty', 'Not Found', '');
}

/** Snapshots and sub-queries: a 404 with a Fault. */
export function entityNotFound(id: string): HttpFault {
  return new HttpFault(404, 'fault', 'Operation Failed', `Entity not found: ${id}`);
}

/** A mandatory element is missing, in the engine's own words. */
export function incomplete(type: string, fields: readonly string[], operation = 'add'): HttpFault {
  return new HttpFault(400, 'fault', 'Incomplete parameters', `${type} [${fields.join(', ')}] required for ${operation}`);
}

export function invalidValue(value: string, allowed: string): HttpFault {
  return new HttpFault(400, 'fault', 'Invalid value', `${value} is not a member of ${allowed}`);
}

/** The lab does not know or does not do this: an error, never a silent 200. */
export function unsupported(detail: string): HttpFault {
  return new HttpFault(400, 'fault', 'Not supported by the lab', detail);
}

export function htmlError(status: number, title: string): HttpFault {
  return new HttpFault(status, 'html', title, '');
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

export function invalidUuid(text: string): HttpFault {
  return new HttpFault(400, 'fault', 'Operation failed', `Invalid UUID string: ${text}`);
}
