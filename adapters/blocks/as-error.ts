// Whatever was thrown or given to AbortController.abort(), as an error. By kind, not by `instanceof`: errors of Node's own code belong to
// another realm under jest.
import { types } from 'node:util';

export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

export function asError(reason: unknown): Error {
  return isError(reason) ? reason : new Error(String(reason));
}
