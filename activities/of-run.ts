// Which run a call belongs to. Every activity's input says it, so that every log line about the call does too (worker/logging).
export interface OfRun {
  readonly runId: string;
  readonly engine: string;
}
