// What the benchmark and the process that copies say to each other.
import { z } from 'zod';

export const orderSchema = z.object({ devices: z.string(), repositoryPath: z.string(), vmId: z.string(), backupId: z.string(), diskId: z.string(), virtualBytes: z.number() });
export type CopyOrder = z.infer<typeof orderSchema>;

export const copiedSchema = z.union([z.object({ seconds: z.number(), cpuSeconds: z.number() }), z.object({ error: z.string() })]);
export type Copied = z.infer<typeof copiedSchema>;
