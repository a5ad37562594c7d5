// Image transfers. Of what is transferred the engine names the disk only, as `image` (ImageTransferMapper), and URLs only while there is a ticket.
import type { Context } from '../context';
import { askTransfer, type TransferAction } from '../commands/ask-transfer';
import { startTransfer, type TransferRequest } from '../commands/start-transfer';
import { incomplete, invalidValue, notFound, unsupported } from '../faults';
import { bodyId, done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { select } from '../http/search';
import type { TransferRecord } from '../state/backup-model';
import { wire, type Wire, type WireObject } from '../wire/description';
import { href, ref } from './links';

const actions: readonly TransferAction[] = ['finalize', 'cancel', 'pause', 'resume', 'extend'];
const defaultInactivitySeconds = 60;

function view({ imageio }: Context, transfer: TransferRecord): Wire {
  const own = ['imagetransfers', transfer.id];
  return wire(
    'image_transfer',
    {
      ...ref(...own),
      active: transfer.active,
      direction: transfer.direction,
      format: transfer.format,
      ...(transfer.hostId === undefined ? {} : { host: ref('hosts', transfer.hostId) }),
      image: { id: transfer.diskId },
      inactivity_timeout: transfer.inactivitySeconds,
      phase: transfer.phase,
      shallow: transfer.shallow,
      timeout_policy: transfer.policy,
      transferred: transfer.transferredBytes,
      ...urls(imageio, transfer),
    },
    [],
    actions.map((rel) => ({ rel, href: href(...own, rel) })),
  );
}

/** The lab has one daemon for both. */
function urls(imageio: Context['imageio'], { ticket }: TransferRecord): WireObject {
  if (ticket === undefined) return {};
  const url = `${imageio.address().url}/images/${ticket.id}`;
  return { transfer_url: url, proxy_url: url };
}

function word<const Word extends string>(call: Call, field: string, type: string, words: readonly Word[]): Word | undefined {
  const given = call.body.word(field)?.toLowerCase();
  const found = words.find((candidate) => candidate === given);
  if (given !== undefined && found === undefined) throw invalidValue(given, type);
  return found;
}

function parse(call: Call): TransferRequest {
  const [diskId, imageId, snapshotId] = [bodyId(call, 'disk.id'), bodyId(call, 'image.id'), bodyId(call, 'snapshot.id')];
  const named = [diskId, imageId, snapshotId].filter((id) => id !== undefined);
  // `image` is the old name of `disk`.
  const [first] = named;
  if (named.length !== 1 || first === undefined) throw incomplete('ImageTransfer', ['disk.id|snapshot.id|image.id']);
  const [backupId, hostId] = [bodyId(call, 'backup.id'), bodyId(call, 'host.id')];
  const direction = word(call, 'direction', 'ImageTransferDirection', ['upload', 'download']) ?? 'upload';
  if (direction === 'upload' && backupId !== undefined) throw unsupported('an upload into a backup');
  return {
    of: snapshotId === undefined ? { diskId: first } : { imageId: snapshotId },
    direction,
    format: word(call, 'format', 'DiskFormat', ['raw', 'cow']),
    shallow: call.body.flag('shallow') ?? false,
    inactivitySeconds: call.body.int('inactivity_timeout') ?? defaultInactivitySeconds,
    policy: word(call, 'timeout_policy', 'ImageTransferTimeoutPolicy', ['legacy', 'pause', 'cancel']) ?? 'legacy',
    ...(backupId === undefined ? {} : { backupId }),
    ...(hostId === undefined ? {} : { hostId }),
  };
}

const accepts = [
  ...['backup.id', 'direction', 'disk.id', 'format', 'host.id', 'image.id', 'inactivity_timeout', 'shallow', 'snapshot.id'],
  'timeout_policy',
];

export function imageTransferRoutes(context: Context): Route[] {
  const path = '/imagetransfers';
  const { transfers } = context.store.tables;
  const need = (id: string): TransferRecord => {
    const transfer = transfers.get(id);
    if (transfer === undefined) throw notFound();
    return transfer;
  };
  const create = async (call: Call): Promise<Answer> => {
    const transferId = await startTransfer(context, parse(call), call.actor);
    return { kind: 'created', item: view(context, need(transferId)) };
  };
  return [
    {
      method: 'GET',
      path,
      query: ['max'],
      handle: (call) =>
        many(
          'image_transfer',
          select(transfers.all(), call, {}).map((row) => view(context, row)),
        ),
    },
    { method: 'POST', path, body: { type: 'image_transfer', accepts }, handle: create },
    { method: 'GET', path: `${path}/:transfer`, handle: (call) => one(view(context, need(param(call, 'transfer')))) },
    ...actions.map((action): Route => ({
      method: 'POST',
      path: `${path}/:transfer/${action}`,
      action: true,
      query: ['async'],
      body: { type: 'action', accepts: ['async'] },
      handle: (call) => {
        askTransfer(context, param(call, 'transfer'), action, call.actor);
        return done();
      },
    })),
  ];
}
