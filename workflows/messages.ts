// Everything a client and a flow say to each other while the flow runs, and the search attributes by which operators find it.
// Wire names are part of the published interface (docs/isv.md).
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Bandwidth, CopyReport, Progress } from '../domain/flows/progress';

export const progressQuery = defineQuery<Progress>('progress');

export const pauseSignal = defineSignal('pause');
export const resumeSignal = defineSignal('resume');
/** Sent by the worker that copies, not by clients. */
export const copyReportSignal = defineSignal<[CopyReport]>('copyReport');

export const setBandwidthUpdate = defineUpdate<Bandwidth, [Bandwidth]>('setBandwidth');

const int = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.INT);
const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);

export const searchAttributes = {
  engine: keyword('HoldfastEngine'),
  vm: keyword('HoldfastVm'),
  vmName: keyword('HoldfastVmName'),
  method: keyword('HoldfastMethod'),
  kind: keyword('HoldfastKind'),
  phase: keyword('HoldfastPhase'),
  outcome: keyword('HoldfastOutcome'),
  /** For people: how far and how fast, or how it ended. */
  progress: keyword('HoldfastProgress'),
  /** Told at the end: how many objects the run left behind. */
  leftovers: int('HoldfastLeftovers'),
} as const;

/** As `temporal operator search-attribute create` and the published documents spell the SDK's words for them. */
export const typeNames = { KEYWORD: 'Keyword', INT: 'Int' } as const satisfies Partial<Record<SearchAttributeType, string>>;
