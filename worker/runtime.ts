// Temporal's runtime in this process: its log lines go where ours go, and its metrics, with ours among them, are served for Prometheus
// when the configuration asks for it. Once per process.
import { DefaultLogger, Runtime, type LogLevel } from '@temporalio/worker';
import type pino from 'pino';
import type { Log } from './logging';

const levels: Record<LogLevel, pino.Level> = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' };

export function installRuntime(log: Log, metricsAddress?: string): void {
  Runtime.install({
    logger: new DefaultLogger(log.level === 'debug' ? 'DEBUG' : 'INFO', (entry) => log[levels[entry.level]](entry.meta ?? {}, entry.message)),
    ...(metricsAddress === undefined
      ? {}
      : { telemetryOptions: { metrics: { prometheus: { bindAddress: metricsAddress, countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true } } } }),
  });
}
