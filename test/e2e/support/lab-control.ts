// What nobody could do to a real engine: the lab's switches for what differs between its versions.
import { ControlClient } from '../../lab/engine/control-client';
import type { Stack } from './stack';

/** `vmsBelow47`: their backups are live or cold unasked. Given back when the test file has ended with its stack; switch it off yourself before. */
export async function setLab({ parts }: Stack, settings: { readonly detachWipesTracking?: boolean; readonly vmsBelow47?: readonly string[] }): Promise<void> {
  const { status, json } = await new ControlClient(parts.lab.controlSocket).ask('PUT', '/settings', settings);
  if (status !== 200) throw new Error(`the lab's settings cannot be changed: ${status} ${JSON.stringify(json)}`);
}
