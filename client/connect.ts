// Opens the one connection a client needs: Temporal's. No engine, no database, no credentials of either.
import { Connection, isGrpcServiceError } from '@temporalio/client';
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

export async function openConnection(endpoint: Endpoint, options: Omit<ConnectionOptions, 'address'> = {}): Promise<Connection> {
  let connection: Connection;
  try {
    connection = await Connection.connect({ connectTimeout: connectTimeoutMs, ...options, address: endpoint.address });
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
  return connection;
}
