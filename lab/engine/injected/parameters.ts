// Pieces of which the parameters of injected faults are made.
import { z } from 'zod';

export const count = z.number().int().positive();
export const seconds = z.number().positive();
export const uuid = z.guid();
/** Which calls: a path below /ovirt-engine/api with `*` for one segment and `**` for any number; counted from the nth on. */
export const call = z.strictObject({
  method: z.enum(['GET', 'POST', 'PUT', 'DELETE']).optional(),
  path: z.string().startsWith('/'),
  nth: count.default(1),
});
