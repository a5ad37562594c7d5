// Short workflows by which clients read and rebuild the catalog: they need Temporal and nothing else.
import { proxyActivities } from '@temporalio/workflow';
import type { MoverQuickActivities } from '../activities';
import { listAlertsInputSchema, type ListAlertsOutput, type ListAlertsRequest } from '../domain/flows/alerts';
import { listHoldingsInputSchema, type ListHoldingsOutput, type ListHoldingsRequest } from '../domain/flows/holdings';
import {
  listBackupsInputSchema,
  listRunsInputSchema,
  rebuildCatalogInputSchema,
  type ListBackupsOutput,
  type ListBackupsRequest,
  type ListRunsOutput,
  type ListRunsRequest,
  type RebuildCatalogInput,
  type RebuildCatalogOutput,
} from '../domain/flows/queries';
import { taskQueues } from '../domain/ids';
import { answered, fail, nobodyServes, parseInput } from './failures';
import { opening } from './proxies';

export async function listBackups(request: ListBackupsRequest): Promise<ListBackupsOutput> {
  return answered(opening.listBackupsInCatalog(parseInput(listBackupsInputSchema, request)));
}

export async function listRuns(request: ListRunsRequest): Promise<ListRunsOutput> {
  return answered(opening.listRunsInCatalog(parseInput(listRunsInputSchema, request)));
}

export async function listHoldings(request: ListHoldingsRequest): Promise<ListHoldingsOutput> {
  return answered(opening.listHoldingsInCatalog(parseInput(listHoldingsInputSchema, request)));
}

export async function listAlerts(request: ListAlertsRequest): Promise<ListAlertsOutput> {
  return answered(opening.listAlertsInCatalog(parseInput(listAlertsInputSchema, request)));
}

/** Page by page: the manifests are the truth, the catalog is their index. Backups that are sealed meanwhile index themselves. */
export async function rebuildCatalog(request: RebuildCatalogInput): Promise<RebuildCatalogOutput> {
  const { repository } = parseInput(rebuildCatalogInputSchema, request);
  return answered(rebuilt(repository));
}

/** Each page goes through the history twice: of VMs with twenty disks, fifty backups are a quarter of a MiB. */
const pageLimit = 50;

async function rebuilt(repository: string): Promise<RebuildCatalogOutput> {
  const mover = proxyActivities<MoverQuickActivities>({ taskQueue: taskQueues.moverQuick(repository), startToCloseTimeout: '30 minutes', scheduleToStartTimeout: '2 minutes' });
  const { since } = await opening.beginRebuild();
  const unreadable: RebuildCatalogOutput['unreadable'] = [];
  let after: string | undefined;
  do {
    const page = await mover.scanRepository({ repository, after, limit: pageLimit }).catch((error: unknown) => {
      throw nobodyServes(error) ? fail('repository.unknown', `No worker serves repository ${repository}. Start one with role "mover" that sees it, or correct the name.`) : error;
    });
    await opening.indexBackups({ backups: page.backups });
    unreadable.push(...page.unreadable);
    after = page.next;
  } while (after !== undefined);
  const { indexed, removed } = await opening.finishRebuild({ repository, since });
  return { indexed, removed, unreadable };
}
