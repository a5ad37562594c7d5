// What a network failure was, read from errors of Node and undici by shape, not by class: an error may come from another realm.

/** OpenSSL's and Node's words for "this certificate is not trusted". */
export const certificateCodes =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_.*|ERR_TLS_CERT_.*|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|CRL_.*|ERROR_IN_CERT_.*)$/;

/** Nothing was ever connected, so nothing was ever sent. */
export const connectCodes = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENOENT|EACCES|UND_ERR_CONNECT_TIMEOUT)$/;

/** A time-out's `code` is a number without meaning. */
export function causeCode(cause: unknown): string {
  if (typeof cause !== 'object' || cause === null) return 'unknown';
  if ('code' in cause && typeof cause.code === 'string') return cause.code;
  return 'name' in cause && typeof cause.name === 'string' ? cause.name : 'unknown';
}

export function causeMessage(cause: unknown): string {
  return typeof cause === 'object' && cause !== null && 'message' in cause ? String(cause.message) : String(cause);
}
