// One run of a flow: owns its undo stack, answers `progress`, obeys pause, resume and setBandwidth, and keeps the operators' view in the Temporal UI
// current. The flows themselves read as runbooks on top of this; in-run.ts opens and closes it.
import { metricMeter, setHandler, uuid4, workflowInfo } from '@temporalio/workflow';
import type { Consistency } from '../domain/consistency';
import { bandwidthSchema, copyReportSchema, type CopyReport, type DiskProgress, type Phase, type Progress } from '../domain/flows/progress';
import type { RunSettings } from '../domain/flows/settings';
import type { Leftover } from '../domain/holdings';
import type { Note } from '../domain/manifest';
import { UndoStack } from './compensation';
import { Copies, type CopyOf } from './copies';
import type { RunEnd } from './details';
import { copyReportSignal, pauseSignal, progressQuery, resumeSignal, searchAttributes, setBandwidthUpdate } from './messages';
import { OperatorView } from './operator-view';
import type { Proxies } from './proxies';

export interface FlowStart {
  readonly engine: string;
  readonly vmId?: string;
  readonly vmName?: string;
  /** Undefined: no data leaves or enters oVirt. */
  readonly method?: string;
  readonly kind?: string;
  readonly backupId?: string;
  readonly repository: string;
  readonly requestId?: string;
  readonly bandwidthBytesPerSecond?: number | undefined;
}

const phaseSeconds = metricMeter.createHistogram('holdfast_phase_seconds', 'float', undefined, 'How long runs stay in a phase');

export class FlowRun {
  readonly runId = uuid4();
  readonly startedAtMs = Date.now();
  private phaseSinceMs = Date.now();
  readonly undo = new UndoStack(() => this.publish());
  private readonly state: { -readonly [Key in keyof Progress]: Progress[Key] };
  private readonly copies: Copies;
  private opened: { readonly proxies: Proxies; readonly settings: RunSettings } | undefined;
  private readonly view: OperatorView;
  /** As operators were told it last. */
  private told: Pick<FlowStart, 'method' | 'kind'>;

  constructor(readonly start: FlowStart) {
    this.state = {
      runId: this.runId,
      ...(start.vmId === undefined ? {} : { vmId: start.vmId }),
      vmName: start.vmName ?? '',
      phase: 'planning',
      paused: false,
      bandwidthBytesPerSecond: start.bandwidthBytesPerSecond ?? null,
      disks: [],
      notes: [],
      consistency: null,
      trouble: null,
      warnings: [],
      undone: [],
      leftovers: [],
    };
    this.told = start;
    this.view = new OperatorView({ ...start, startedAtMs: this.startedAtMs }, this.state, this.undo);
    this.copies = new Copies({
      isPaused: () => this.state.paused,
      bandwidthBytesPerSecond: () => this.state.bandwidthBytesPerSecond ?? undefined,
      setDisk: (diskId, change) => {
        this.setDisk(diskId, change);
        if (change.waitingFor !== undefined) this.view.tell();
      },
      warn: (warning) => this.warn(warning),
    });
    this.installHandlers();
    this.view.tell([
      { key: searchAttributes.engine, value: start.engine },
      ...(start.method === undefined ? [] : [{ key: searchAttributes.method, value: start.method }]),
      { key: searchAttributes.outcome, value: 'running' },
      ...(start.vmId === undefined ? [] : [{ key: searchAttributes.vm, value: start.vmId }]),
      ...(start.kind === undefined ? [] : [{ key: searchAttributes.kind, value: start.kind }]),
      { key: searchAttributes.phase, value: this.state.phase },
    ]);
    this.publish();
  }

  /** The catalog knows the run from here on. */
  begin(proxies: Proxies, settings: RunSettings): void {
    this.opened = { proxies, settings };
  }

  get warnings(): readonly string[] {
    return this.state.warnings;
  }
  get undone(): readonly string[] {
    return this.state.undone;
  }
  get leftovers(): readonly Leftover[] {
    return this.state.leftovers;
  }

  enter(phase: Phase): void {
    this.setPhase(phase);
    this.view.tell([{ key: searchAttributes.phase, value: phase }]);
    this.publish();
  }

  /** How the run calls an object: operators know names, not ids. */
  nameOf(id: string): string | undefined {
    const disk = this.state.disks.find(({ diskId }) => diskId === id);
    if (disk) return `disk ${disk.alias}`;
    return id === this.state.vmId && this.state.vmName !== '' ? `VM ${this.state.vmName}` : undefined;
  }

  /** What stays, and where it is found: the page of a run that has ended says it. */
  made(product: string): void {
    this.view.made(product);
  }

  /** What the run has decided since it began, and why. */
  decided({ method, kind, notes }: { readonly method: string; readonly kind: string; readonly notes: readonly Note[] }): void {
    this.state.notes = [...notes];
    const news = [...(method === this.told.method ? [] : [{ key: searchAttributes.method, value: method }]), ...(kind === this.told.kind ? [] : [{ key: searchAttributes.kind, value: kind }])];
    this.told = { method, kind };
    if (news.length > 0) this.view.tell(news);
    this.publish();
  }

  /** How much at rest the guest was at the moment that the run holds, and who says so. */
  reached(consistency: Consistency): void {
    this.state.consistency = consistency;
    this.publish();
  }

  name(vmName: string): void {
    this.state.vmName = vmName;
    this.view.tell([{ key: searchAttributes.vmName, value: vmName }]);
    this.publish();
  }

  warn(warning: string): void {
    this.state.warnings = [...this.state.warnings, warning];
    this.publish();
  }

  setDisks(disks: readonly Pick<DiskProgress, 'diskId' | 'alias' | 'virtualBytes'>[]): void {
    this.state.disks = disks.map(({ diskId, alias, virtualBytes }) => ({ diskId, alias, virtualBytes, positionBytes: 0, dataBytes: 0, bytesPerSecond: 0, state: 'waiting', waitingFor: null }));
    this.publish();
  }

  /** Everything of this disk below it is durable in its target: reports never say more. */
  durablePosition(diskId: string): Pick<DiskProgress, 'positionBytes' | 'dataBytes'> {
    const { positionBytes, dataBytes } = this.state.disks.find((disk) => disk.diskId === diskId) ?? { positionBytes: 0, dataBytes: 0 };
    return { positionBytes, dataBytes };
  }

  setDisk(diskId: string, change: Partial<DiskProgress>): void {
    this.state.disks = this.state.disks.map((disk) => (disk.diskId === diskId ? { ...disk, ...change } : disk));
    this.publish();
  }

  /** Runs a copy when it is its turn; pause, resume and a new bandwidth reach it. */
  copy<T>(of: CopyOf, work: (bandwidthBytesPerSecond: number | undefined) => Promise<T>): Promise<T> {
    if (!this.opened) throw new Error('a copy before the run was open');
    return this.copies.copy({ ...of, ...this.opened, engine: this.start.engine, runId: this.runId }, work);
  }

  /** Undoes what is on the stack; what cannot be undone is a leftover and a warning, never an exception. */
  async cleanUp(): Promise<void> {
    const patienceMs = (this.opened?.settings.deadlines.undoSeconds ?? 0) * 1000;
    await this.undo.unwind(patienceMs, {
      trouble: (trouble) => {
        this.state.trouble = trouble ?? null;
        this.view.tell();
        this.publish();
      },
      undone: (name) => {
        this.state.undone = [...this.state.undone, name];
        this.publish();
      },
      left: (leftover) => {
        this.state.leftovers = [...this.state.leftovers, leftover];
        this.warn(`left behind: ${leftover.kind} ${leftover.objectId ?? leftover.mark} (${leftover.reason})`);
      },
    });
  }

  finish(outcome: RunEnd['outcome'], failure?: RunEnd['failure']): void {
    this.view.end(outcome, failure);
    if (outcome === 'completed') this.setPhase('done');
    this.view.tell([
      { key: searchAttributes.outcome, value: outcome },
      { key: searchAttributes.phase, value: this.state.phase },
      { key: searchAttributes.leftovers, value: this.state.leftovers.length },
    ]);
    this.publish();
  }

  publish(): void {
    this.view.publish();
  }

  private setPhase(phase: Phase): void {
    const nowMs = Date.now();
    phaseSeconds.record((nowMs - this.phaseSinceMs) / 1000, { phase: this.state.phase, workflow: workflowInfo().workflowType });
    this.phaseSinceMs = nowMs;
    this.state.phase = phase;
  }

  /** Anybody can send a signal: one that is no report must not stop the run. A report that comes after its disk was done says nothing new. */
  private take(report: CopyReport): void {
    const parsed = copyReportSchema.safeParse(report);
    if (!parsed.success) return;
    const { diskId, ...figures } = parsed.data;
    const disk = this.state.disks.find((each) => each.diskId === diskId);
    if (disk?.state !== 'copying' && disk?.state !== 'proving') return;
    this.setDisk(diskId, figures);
    this.view.tell();
  }

  private installHandlers(): void {
    setHandler(progressQuery, () => this.state);
    setHandler(copyReportSignal, (report) => this.take(report));
    setHandler(pauseSignal, () => {
      if (this.state.paused) return;
      this.state.paused = true;
      this.copies.stop('waiting', 'copying');
      this.view.tell();
      this.publish();
    });
    setHandler(resumeSignal, () => {
      this.state.paused = false;
      this.view.tell();
      this.publish();
    });
    setHandler(
      setBandwidthUpdate,
      ({ bytesPerSecond }) => {
        this.state.bandwidthBytesPerSecond = bytesPerSecond;
        this.copies.stop('copying');
        this.view.tell();
        this.publish();
        return { bytesPerSecond };
      },
      {
        // Synchronous on purpose: the SDK does not await validators.
        validator: (input) => {
          const parsed = bandwidthSchema.safeParse(input);
          if (!parsed.success) throw new Error(parsed.error.issues.map((issue) => issue.message).join('; '));
        },
      },
    );
  }
}
