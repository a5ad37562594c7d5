// Finds the route of a request, checks that nothing unknown was asked, and runs it. `follow` runs routes too.
import { HttpFault, unsupported } from '../faults';
import type { Answer, Call, Route } from './call';

interface Compiled {
  readonly route: Route;
  readonly segments: readonly string[];
}

/** Understood everywhere: they are handled before a route sees the call. */
const everywhere = ['correlation_id', 'follow', 'all_content'];

export class Router {
  private readonly compiled: readonly Compiled[];

  constructor(routes: readonly Route[]) {
    this.compiled = routes.map((route) => ({ route, segments: split(route.path) }));
  }

  /** Fixed segments win over parameters. Throws a 404 Fault for an unknown path, 405 for an unknown method. */
  find(method: string, path: string): { readonly route: Route; readonly params: Readonly<Record<string, string>> } {
    const segments = split(path);
    const matching = this.compiled
      .filter((candidate) => matches(candidate.segments, segments))
      .sort((left, right) => parameters(left) - parameters(right));
    const [best] = matching;
    if (best === undefined) throw new HttpFault(404, 'fault', 'Not supported by the lab', `the lab has no resource at ${path}`);
    const fewest = parameters(best);
    const found = matching.find((candidate) => candidate.route.method === method && parameters(candidate) === fewest);
    if (found === undefined) throw new HttpFault(405, 'fault', 'Not supported by the lab', `the lab does not support ${method} on ${path}`);
    const params = Object.fromEntries(
      found.segments.flatMap((segment, index) =>
        segment.startsWith(':') ? [[segment.slice(1), (segments[index] ?? '').toLowerCase()]] : [],
      ),
    );
    return { route: found.route, params };
  }

  async run(route: Route, call: Call): Promise<Answer> {
    const known = [...everywhere, ...(route.query ?? [])];
    const unknown = call.query.names().find((name) => !known.includes(name));
    if (unknown !== undefined) throw unsupported(`query parameter "${unknown}" on ${route.method} ${route.path}`);
    if (route.body !== undefined) call.body.acceptOnly(route.body.accepts);
    return route.handle(call);
  }
}

function split(path: string): readonly string[] {
  return path.split('/').filter((segment) => segment !== '');
}

function parameters({ segments }: Compiled): number {
  return segments.filter((segment) => segment.startsWith(':')).length;
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  return pattern.length === segments.length && pattern.every((part, index) => part.startsWith(':') || part === segments[index]);
}
