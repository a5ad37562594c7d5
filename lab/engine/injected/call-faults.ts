// Injected faults at the three places where the HTTP server asks: before a call is looked at, where its locks are taken, and between
// the work and the answer.
import { htmlError } from '../faults';
import type { CallFaults } from '../http/server';
import { refuse, type Phrase } from '../refusals';
import type { InjectedFaults } from './injected-faults';
import { isCall } from './kinds';
import { afterCall, beforeCall, type Engine } from './sudden';

const titles = { 500: 'Internal Server Error', 502: 'Bad Gateway', 503: 'Service Unavailable' } as const;

export function callFaults(faults: InjectedFaults, engine: () => Engine): CallFaults {
  return {
    before: (asked) => {
      beforeCall(faults, engine());
      for (const active of faults.due('server-error', asked)) {
        faults.fire(active);
        throw htmlError(active.fault.status, titles[active.fault.status]);
      }
    },
    locking: (asked) => {
      for (const active of faults.due('conflict', asked)) {
        faults.fire(active);
        throw refuse('lock/related-operation', { C: phraseOf(asked.method, asked.path) });
      }
    },
    after: (asked) => afterCall(faults, engine(), asked),
  };
}

/** Who asks, in the engine's words; the first row that names the call. */
const phrases: readonly (readonly [method: string, path: string, phrase: Phrase])[] = [
  ['POST', '/vms/*/snapshots', 'Cannot create Snapshot'],
  ['DELETE', '/vms/*/snapshots/*', 'Cannot remove Snapshot'],
  ['POST', '/vms/*/diskattachments', 'Cannot attach Virtual Disk'],
  ['DELETE', '/vms/*/diskattachments/*', 'Cannot detach Virtual Disk'],
  ['PUT', '/vms/*/diskattachments/*', 'Cannot edit Virtual Disk'],
  ['POST', '/disks', 'Cannot add Virtual Disk'],
  ['DELETE', '/disks/*', 'Cannot remove Virtual Disk'],
  ['POST', '/vms', 'Cannot add VM'],
  ['DELETE', '/vms/*', 'Cannot remove VM'],
  ['POST', '/vms/*/start', 'Cannot run VM'],
  ['POST', '/vms/*/stop', 'Cannot stop VM'],
];

function phraseOf(method: string, path: string): Phrase {
  return phrases.find(([wanted, pattern]) => wanted === method && isCall({ path: pattern, nth: 1 }, method, path))?.[2] ?? 'Cannot edit VM';
}
