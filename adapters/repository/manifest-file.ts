// manifest.json as bytes: the manifest plus, as its last field, the SHA-256 of what comes before. Every byte of the file counts, so that
// decay of any one of them is found without asking anybody else.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { manifestSchema, repositoryFormatVersion, type Manifest } from '../../domain/manifest';

const envelopeSchema = z.object({ format: z.literal('holdfast-backup'), version: z.number(), integrity: z.object({ algorithm: z.literal('sha256'), value: z.string() }) });

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function serialize(content: object): string {
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

export function encodeManifest(manifest: Manifest): string {
  return serialize({ ...manifest, integrity: { algorithm: 'sha256', value: sha256(serialize(manifest)) } });
}

/** The reason why it cannot be read, for people, or the manifest. */
export function decodeManifest(bytes: Uint8Array): { readonly manifest: Manifest; readonly manifestSha256: string } | { readonly reason: string } {
  const text = Buffer.from(bytes).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { reason: 'it is not JSON' };
  }
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) return { reason: 'it is not a manifest of a Holdfast backup' };
  if (envelope.data.version > repositoryFormatVersion) return { reason: `it has format version ${envelope.data.version}, this Holdfast knows up to ${repositoryFormatVersion}: use a newer one` };
  // Not what zod returns: the order of the fields and fields that are not known here count too.
  const content: Record<string, unknown> = { ...(json as Record<string, unknown>) };
  delete content['integrity'];
  const canonical = serialize({ ...content, integrity: envelope.data.integrity });
  if (sha256(serialize(content)) !== envelope.data.integrity.value || canonical !== text) return { reason: 'its content does not have the SHA-256 that it carries: it has decayed or was changed' };
  const manifest = manifestSchema.safeParse(content);
  if (!manifest.success) return { reason: `its fields are not as they should be: ${manifest.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}` };
  return { manifest: manifest.data, manifestSha256: sha256(bytes) };
}
