// Opens the one connection a client needs: Temporal's. No engine, no database, no credentials of either.
import { setTimeout as delay } from 'node:timers/promises';
import { Connection, defaultGrpcRetryOptions, isGrpcServiceError, makeGrpcRetryInterceptor } from '@temporalio/client';
import type { ConnectionOptions } from '@temporalio/client';
import { unknownNamespace, unreachable } from './failures';
import type { Endpoint } from './failures';

export interface ConnectOptions extends Partial<Endpoint> {
  /** Anything else of Temporal's own connection options, such as `tls` or `apiKey`. */
  readonly connection?: Omit<ConnectionOptions, 'address'>;
}

export const defaultEndpoint: Endpoint = { address: '127.0.0.1:7233', namespace: 'default' };

const connectTimeoutMs = 5_000;
const grpcNotFound = 5;

const longestRetryDelayMs = 1_000;

/**
 * Temporal's own retries, but ones that end: the SDK (1.24.0, grpc-retry.js) starts a retry from a timer, and one that fires after the
 * connection was closed throws "Channel has been shut down" where nobody can catch it. So closing first lets the last timer pass.
 */
function endableRetries(): { readonly interceptor: NonNullable<ConnectionOptions['interceptors']>[number]; readonly end: () => Promise<void> } {
  const usual = defaultGrpcRetryOptions();
  let ending = false;
  let lastTimerAtMs = 0;
  const interceptor = makeGrpcRetryInterceptor({
    retryableDecider: (attempt, status) => !ending && usual.retryableDecider(attempt, status),
    delayFunction: (attempt, status) => {
      const delayMs = Math.min(longestRetryDelayMs, usual.delayFunction(attempt, status));
      lastTimerAtMs = Math.max(lastTimerAtMs, Date.now() + delayMs);
      return delayMs;
    },
  });
  const end = async (): Promise<void> => {
    ending = true;
    const remainingMs = lastTimerAtMs - Date.now();
    // A timer may fire a little late.
    if (remainingMs > -100) await delay(remainingMs + 100);
  };
  return { interceptor, end };
}

export interface OpenedConnection {
  readonly connection: Connection;
  readonly close: () => Promise<void>;
}

export async function openConnection(endpoint: Endpoint, options: Omit<ConnectionOptions, 'address'> = {}): Promise<OpenedConnection> {
  const retries = endableRetries();
  let connection: Connection;
  try {
    connection = await Connection.connect({ connectTimeout: connectTimeoutMs, interceptors: [retries.interceptor], ...options, address: endpoint.address });
  } catch (error) {
    throw unreachable(endpoint, error);
  }
  try {
    await connection.withDeadline(Date.now() + connectTimeoutMs, () => connection.workflowService.describeNamespace({ namespace: endpoint.namespace }));
  } catch (error) {
    // Only a plain "no such namespace" is an answer here: describing it may be forbidden where starting workflows is allowed.
    if (isGrpcServiceError(error) && (error.code as number) === grpcNotFound) {
      await connection.close();
      throw unknownNamespace(endpoint, error);
    }
  }
  const close = async (): Promise<void> => {
    await retries.end();
    await connection.close();
  };
  return { connection, close };
}
