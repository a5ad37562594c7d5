// The published interface as JSON Schema (2020-12), made from the zod schemas that clients and flows themselves use: an ISV starts any flow
// from any Temporal SDK with these documents alone. Committed under docs/schema; a test proves that they are current.
import { z } from 'zod';
import { copyReportSchema, bandwidthSchema, progressSchema } from '../domain/flows/progress';
import { failureRules } from '../domain/failures';
import { reasonGuide } from '../domain/reason-guide';
import { taskQueues } from '../domain/ids';
import { copyReportSignal, pauseSignal, progressQuery, resumeSignal, searchAttributes, setBandwidthUpdate, typeNames } from '../workflows/messages';
import { reasonCodes } from '../domain/plan/reasons';
import { runFailureDetailsSchema } from './errors';
import type { RunEndCode } from './errors';
import { flowNames, flows } from './flows';
import type { Flow, FlowName } from './flows';

type JsonSchema = Record<string, unknown>;

/**
 * Patterns that not every JSON Schema validator can read (Python's `re` has no \p{…}), with a portable one that refuses nothing the
 * flow would take. The flow's own check stays the exact one.
 */
const portablePatterns: Readonly<Record<string, string>> = {
  '^[\\p{L}\\p{N}._+-]{1,255}$': '^[^\\s!-*,/:-@\\[-^`{-~]{1,255}$',
};

export function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  return z.toJSONSchema(schema, { io, override: ({ jsonSchema }) => {
    const { pattern } = jsonSchema;
    if (pattern?.includes('\\p{')) jsonSchema.pattern = portable(pattern);
    // An answer may get new fields in a later version: a strict reader of today must not break on them.
    if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
  } });
}

function portable(pattern: string): string {
  const replacement = portablePatterns[pattern];
  if (replacement === undefined) throw new Error(`No portable form of the pattern ${pattern}: add one to client/schema.ts.`);
  return replacement;
}

export function publishedFlow(name: FlowName): JsonSchema {
  const flow: Flow = flows[name];
  return {
    flow: name,
    summary: flow.summary,
    workflowType: name,
    taskQueue: taskQueues.control,
    workflowId: flow.workflowId,
    workflowIdConflictPolicy: 'FAIL',
    workflowIdReusePolicy: flow.idReusePolicy,
    ...(flow.workflowIdElse === undefined ? {} : { workflowIdElse: flow.workflowIdElse }),
    messages: flow.messages,
    input: toJsonSchema(flow.input, 'input'),
    output: toJsonSchema(flow.output, 'output'),
  };
}

/** Queries, signals and updates by wire name, the failure's details, the search attributes. */
export function publishedMessages(): JsonSchema {
  return {
    queries: { [progressQuery.name]: { arguments: [], result: toJsonSchema(progressSchema, 'output') } },
    signals: {
      [pauseSignal.name]: { arguments: [] },
      [resumeSignal.name]: { arguments: [] },
      [copyReportSignal.name]: { internal: 'sent by the worker that copies, not by clients', arguments: [toJsonSchema(copyReportSchema, 'input')] },
    },
    updates: { [setBandwidthUpdate.name]: { arguments: [toJsonSchema(bandwidthSchema, 'input')], result: toJsonSchema(bandwidthSchema, 'output') } },
    failure: {
      types: [...Object.keys(failureRules), 'unexpected' satisfies RunEndCode],
      reasonCodes,
      firstDetail: toJsonSchema(runFailureDetailsSchema, 'input'),
    },
    /** Why a backup is of its method and kind: in its result, in lists, in `progress`. Newer workers may know more. */
    backupReasonCodes: Object.keys(reasonGuide),
    searchAttributes: Object.fromEntries(Object.values(searchAttributes).map(({ name, type }) => [name, typeNames[type]])),
  };
}

export function publishedIndex(): JsonSchema {
  return { flows: Object.fromEntries(flowNames.map((name) => [name, { summary: flows[name].summary, file: `${name}.json` }])), messages: { file: 'messages.json' } };
}

/** File name → document, as committed under docs/schema. */
export function publishedFiles(): Readonly<Record<string, JsonSchema>> {
  return {
    'index.json': publishedIndex(),
    'messages.json': publishedMessages(),
    ...Object.fromEntries(flowNames.map((name) => [`${name}.json`, publishedFlow(name)])),
  };
}
