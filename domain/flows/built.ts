// What of the methods and kinds that a manifest may name the flows can do so far: a request for more is refused before it starts.
import type { Manifest } from '../manifest';

export const builtMethods = ['appliance'] as const satisfies readonly Manifest['method'][];
export const builtKinds = ['full'] as const satisfies readonly Manifest['kind'][];
