// The checkpoints of a VM as the line that they are in the engine: each newer one has its elder as parent, whoever made it.
import type { EngineCheckpoint } from './facts';

/** Oldest first. Checkpoints whose parents are unknown or go in circles come first: nothing can be said about their age but that they are no newer. */
export function oldestFirst(checkpoints: readonly EngineCheckpoint[]): EngineCheckpoint[] {
  const depths = new Map(checkpoints.map((each) => [each.id, pathToRoot(each.id, checkpoints).length]));
  return [...checkpoints].sort((one, other) => (depths.get(one.id) ?? 0) - (depths.get(other.id) ?? 0) || (one.id < other.id ? -1 : 1));
}

/** From this checkpoint to the oldest one, itself included; it ends before an unknown or repeated parent. */
function pathToRoot(id: string, checkpoints: readonly EngineCheckpoint[]): EngineCheckpoint[] {
  const byId = new Map(checkpoints.map((each) => [each.id, each]));
  const path: EngineCheckpoint[] = [];
  const seen = new Set<string>();
  for (let at = byId.get(id); at !== undefined && !seen.has(at.id); at = at.parentId === null ? undefined : byId.get(at.parentId)) {
    seen.add(at.id);
    path.push(at);
  }
  return path;
}

/**
 * The checkpoints after `id` up to the newest: what changed since `id` is the sum of what they and it recorded. undefined: there is no
 * single line from it to one newest checkpoint, so that sum cannot be trusted.
 */
export function newerThan(id: string, checkpoints: readonly EngineCheckpoint[]): EngineCheckpoint[] | undefined {
  const parents = new Set(checkpoints.map((each) => each.parentId));
  const newest = checkpoints.filter((each) => !parents.has(each.id));
  const [only] = newest;
  if (only === undefined || newest.length > 1) return undefined;
  const path = pathToRoot(only.id, checkpoints);
  const at = path.findIndex((each) => each.id === id);
  return at < 0 ? undefined : path.slice(0, at).reverse();
}
