// Is the engine itself backed up, and are its VMs? Judges by the rules of domain/awareness, and lets the catalog's alerts follow. Role control.
// Answers are counts, whatever the number of VMs.
import { disabledPeriod, judgeEngineBackup, type AwarenessPolicy, type EngineBackupVerdict } from '../domain/awareness/engine-backup';
import type { AcknowledgeAlertsInput, AcknowledgeAlertsOutput } from '../domain/flows/alerts';
import type { AlertChange, VmAlertCounts, AwarenessSettings, EngineBackupFinding, SetBackupAwarenessInput, SetBackupAwarenessOutput, ShowBackupAwarenessInput, ShowBackupAwarenessOutput } from '../domain/flows/awareness';
import { scheduleIds } from '../domain/ids';
import type { AwarenessDependencies } from './dependencies';
import type { VmFindings } from './inventory';

export interface AwarenessActivities {
  /** What the check has to do, by the settings of now. */
  planCheck(input: { readonly engine: string }): Promise<{ readonly judgesVms: boolean }>;
  /** Reads where the engine's backups are logged, judges, and raises, reminds of, keeps or clears the one alert about it. */
  judgeEngineBackup(input: { readonly engine: string }): Promise<EngineBackupFinding>;
  /** One alert for each objective, and one for VMs that none covers. Those of objectives that are gone, or exempt their VMs now, are cleared. */
  settleVmAlerts(input: { readonly engine: string; readonly findings: VmFindings }): Promise<VmAlertCounts>;
  /** An alert whose event is not in the engine's log any more (deleted, aged out) is to be posted again. Gives their number. */
  keepAlertsShown(input: { readonly engine: string }): Promise<{ readonly again: number }>;
  showAwareness(input: ShowBackupAwarenessInput): Promise<ShowBackupAwarenessOutput>;
  setAwareness(input: SetBackupAwarenessInput): Promise<SetBackupAwarenessOutput>;
  acknowledgeAlerts(which: AcknowledgeAlertsInput): Promise<AcknowledgeAlertsOutput>;
  /** Creates the engine's schedule, or makes it what the settings say. A change is checked at once; disabled is checked once more, then paused. */
  ensureAwarenessSchedule(input: { readonly engine: string; readonly checkNow: boolean }): Promise<void>;
}

export const engineBackupAlertKey = (engine: string): string => `awareness/${engine}/engine-backup`;
const vmAlertPrefix = (engine: string): string => `awareness/${engine}/vms/`;
const mostNames = 5;
/** The API root's `engine_backup` came after 4.5: absent is "never" or "too old to tell". */
const untold = 'If it was backed up: engines up to 4.5 do not tell that over their API; name another source (engines.<name>.awareness.source).';

export function createAwarenessActivities(dependencies: AwarenessDependencies): AwarenessActivities {
  const { catalog, engineOf, awarenessOf, schedules } = dependencies;
  return {
    async planCheck({ engine }) {
      const { checkPeriodHours } = await policyOf(dependencies, engine);
      return { judgesVms: checkPeriodHours !== disabledPeriod && awarenessOf(engine).judgesVms };
    },

    async judgeEngineBackup({ engine }) {
      const { fqdn, source } = awarenessOf(engine);
      const policy = await policyOf(dependencies, engine);
      const nowMs = Date.now();
      // Who has disabled it waits for no source to answer.
      const { completed, elsewhere } = policy.checkPeriodHours === disabledPeriod ? { completed: [], elsewhere: [] } : await dependencies.engineBackupsOf(engine).read({ fqdn, nowMs });
      const judged = judgeEngineBackup(engine, completed, policy, nowMs);
      const verdict = judged.text !== undefined && source === 'engine-api' && completed.length === 0 ? { ...judged, text: `${judged.text} ${untold}` } : judged;
      await catalog.recordEngineBackupFinding({ engine, state: verdict.state, backedUpAtMs: verdict.backedUpAtMs });
      const alert = await settle(dependencies, engine, verdict, { source, fqdn, ...policy, completed: completed.map(({ scope, doneAtMs }) => ({ scope, doneAt: new Date(doneAtMs).toISOString() })) });
      return {
        state: verdict.state, alert, source, fqdn, notBelieved: verdict.notBelieved.length,
        elsewhere: [...new Set(elsewhere.map((row) => row.fqdn ?? '(no name)'))].slice(0, mostNames),
        ...(verdict.backedUpAtMs === undefined ? {} : { backedUpAt: new Date(verdict.backedUpAtMs).toISOString() }),
        ...(verdict.text === undefined ? {} : { text: verdict.text }),
      };
    },

    async settleVmAlerts({ engine, findings }) {
      const wrong = [
        ...findings.objectives.map(({ objective, ...finding }) => ({ key: `${vmAlertPrefix(engine)}${objective}`, code: 'awareness.vms-without-fresh-backup', severity: 'alert' as const, ...finding })),
        { key: `${vmAlertPrefix(engine)}/uncovered`, code: 'awareness.vms-uncovered', severity: 'warning' as const, ...findings.uncovered },
      ];
      const counts = { raised: 0, open: 0, cleared: 0 };
      for (const { key, code, severity, text, vms, wrong: states } of wrong) {
        if (text === undefined) continue;
        const raising = await catalog.raiseAlert({ key, code, severity, message: text, engine, evidence: { vms, ...states } });
        counts.open += 1;
        if (raising === 'raised') counts.raised += 1;
      }
      const stay = new Set(wrong.filter(({ text }) => text !== undefined).map(({ key }) => key));
      for (const { key } of await catalog.listAlerts({ engine, state: 'open' })) {
        if (key.startsWith(vmAlertPrefix(engine)) && !stay.has(key) && (await catalog.clearAlert(key, 'every VM has the backups that it must have'))) counts.cleared += 1;
      }
      return counts;
    },

    async keepAlertsShown({ engine }) {
      const shown = await catalog.listShownAlerts(engine);
      if (shown.length === 0) return { again: 0 };
      const there = new Set((await engineOf(engine).listPostedEvents()).map(({ id }) => id));
      const gone = shown.filter(({ engineEventId }) => !there.has(engineEventId));
      for (const { alertId } of gone) await catalog.showAlertAgain(alertId);
      return { again: gone.length };
    },

    async showAwareness({ engine, events }) {
      const { fqdn, source, policy } = awarenessOf(engine);
      const set = await catalog.awarenessSettings(engine);
      const schedule = await schedules.describe(scheduleIds.awareness(engine));
      const alerts = await catalog.listAlerts({ engine, state: 'open' });
      return {
        settings: { ...policy, ...set },
        settingsFrom: { checkPeriodHours: from(set.checkPeriodHours), alertPeriodDays: from(set.alertPeriodDays) },
        source, fqdn, schedule,
        alerts: alerts.filter(({ key }) => key.startsWith(`awareness/${engine}/`)),
        exemptVms: await catalog.countExemptVms({ engine }),
        events: [...(await catalog.listEngineBackupEvents({ limit: events }))],
      };
    },

    async setAwareness({ engine, checkPeriodHours, alertPeriodDays }) {
      awarenessOf(engine);
      await catalog.setAwareness(engine, { checkPeriodHours, alertPeriodDays });
      return { settings: await policyOf(dependencies, engine) };
    },

    acknowledgeAlerts: async (which) => ({ acknowledged: await catalog.acknowledgeAlerts(which) }),

    async ensureAwarenessSchedule({ engine, checkNow }) {
      const { checkPeriodHours } = await policyOf(dependencies, engine);
      await schedules.ensureAwareness(engine, { checkPeriodHours, checkNow });
    },
  };
}

const from = (value: unknown): 'set' | 'configuration' => (value === undefined ? 'configuration' : 'set');

/** What an operator has set, over the configuration. */
async function policyOf({ catalog, awarenessOf }: Pick<AwarenessDependencies, 'catalog' | 'awarenessOf'>, engine: string): Promise<AwarenessPolicy & AwarenessSettings> {
  return { ...awarenessOf(engine).policy, ...(await catalog.awarenessSettings(engine)) };
}

async function settle({ catalog }: AwarenessDependencies, engine: string, { state, text }: EngineBackupVerdict, evidence: Readonly<Record<string, unknown>>): Promise<AlertChange> {
  const key = engineBackupAlertKey(engine);
  if (text !== undefined && (state === 'no-full-backup' || state === 'old-backup')) {
    return catalog.raiseAlert({ key, code: `awareness.${state}`, severity: 'alert', message: text, engine, evidence });
  }
  const cleared = await catalog.clearAlert(key, state === 'disabled' ? 'backup awareness was disabled' : 'a full backup of the engine is there');
  return cleared ? 'cleared' : 'none';
}
