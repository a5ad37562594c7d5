// The hosts' data daemons (ovirt-imageio), as a mover sees them: the method `transfer` reads and writes there. Pure.
import { ok, problem, warning, type Check, type Judgement } from './checks';
import { daysLeft, soonDays } from './judge-engine';

export interface DaemonAddress {
  /** The host's name in the engine. */
  readonly host: string;
  /** As the engine tells it. */
  readonly address: string;
  readonly port: number;
}

export type DaemonFacts =
  /** `certificateExpiresAt`: ISO 8601. */
  | { readonly outcome: 'answers'; readonly certificateExpiresAt: string }
  | {
      /** `unreachable`: no connection with TLS came about. `silent`: one did, and then there was no answer. */
      readonly outcome: 'unreachable' | 'silent' | 'untrusted' | 'no-daemon';
      /** The failure's own words. */
      readonly reason: string;
    };

const enroll = 'Enroll the host\'s certificate anew: in the engine, with the host in maintenance, Installation, Enroll Certificate.';

/** A transfer goes through the engine's proxy when no connection to the host comes about, and only then. */
export function judgeDaemon(facts: DaemonFacts, { host, address, port }: DaemonAddress, { proxy, nowMs }: { readonly proxy: 'when-needed' | 'never'; readonly nowMs: number }): Judgement {
  const where = `${host} (${address}:${port})`;
  if (facts.outcome === 'answers') {
    const days = daysLeft(facts.certificateExpiresAt, nowMs);
    return days < soonDays ? warning(`${where}: its certificate ends in ${days} days`, enroll) : ok(where);
  }
  const text = `${where} ${words[facts.outcome]}: ${facts.reason}`;
  const remedy = remedies[facts.outcome](port);
  if (facts.outcome !== 'unreachable' || proxy === 'never') return problem(`${text}; image transfers there fail`, remedy);
  return warning(`${text}; the data of image transfers there has to go through the engine's proxy, if that reaches the host`, remedy);
}

type Failed = Exclude<DaemonFacts['outcome'], 'answers'>;

const words: Readonly<Record<Failed, string>> = {
  unreachable: 'cannot be reached',
  silent: 'is silent',
  untrusted: 'has a certificate that is not trusted',
  'no-daemon': 'is no data daemon',
};

const remedies: Readonly<Record<Failed, (port: number) => string>> = {
  unreachable: (port) => `See that ovirt-imageio runs on the host (systemctl status ovirt-imageio), that its address resolves on the mover, and that TCP port ${port} is open to the mover.`,
  silent: () => 'Look at /var/log/ovirt-imageio/daemon.log on the host, and restart ovirt-imageio there if it hangs.',
  untrusted: () => `Set engines.<name>.caFile of the mover to the engine's CA, which signs its hosts' certificates too. ${enroll}`,
  'no-daemon': (port) => `See what listens on TCP port ${port} of the host. When the engine's ImageDaemonPort (engine-config) is another one, set engines.<name>.imageio.port of the mover to it.`,
};

export function judgeHosts(daemons: readonly DaemonAddress[]): Judgement {
  return daemons.length > 0 ? ok(`${daemons.length} hosts are up`) : problem('no host of a data center is up: no image transfer can begin', 'Activate a host in the engine.');
}

/** Hosts that are well are told in one line: an engine may have hundreds. */
export function judgeAnswering(daemons: readonly DaemonAddress[]): Judgement {
  return ok(`${daemons.length === 1 ? 'answers' : `${daemons.length} answer`}: ${daemons.map(({ host, address, port }) => `${host} (${address}:${port})`).join(', ')}`);
}

/** Where there is an appliance, backups and restores work without image transfers. */
export function onlyForTransfer(check: Check, { hasAppliances }: { readonly hasAppliances: boolean }): Check {
  return check.verdict === 'problem' && hasAppliances ? { ...check, verdict: 'warning' } : check;
}
