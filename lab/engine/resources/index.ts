// All routes of the engine's API.
import type { Context } from '../context';
import type { Route } from '../http/call';
import { attachmentRoutes } from './attachments';
import { backupRoutes } from './backups';
import { checkpointRoutes } from './checkpoints';
import { diskRoutes } from './disks';
import { domainRoutes } from './domains';
import { eventRoutes } from './events';
import { imageTransferRoutes } from './image-transfers';
import { jobRoutes } from './jobs';
import { macPoolRoutes } from './mac-pools';
import { nicRoutes } from './nics';
import { permissionRoutes } from './permissions';
import { roleRoutes } from './roles';
import { userRoutes } from './users';
import { placeRoutes } from './places';
import { rootRoutes } from './root';
import { snapshotRoutes } from './snapshots';
import { tagRoutes } from './tags';
import { templateRoutes } from './templates';
import { vmActionRoutes } from './vm-actions';
import { vmRoutes } from './vms';

export function allRoutes(context: Context, { transfers }: { readonly transfers: boolean }): Route[] {
  return [
    ...rootRoutes(context),
    ...placeRoutes(context),
    ...domainRoutes(context),
    ...vmRoutes(context),
    ...vmActionRoutes(context),
    ...snapshotRoutes(context),
    ...attachmentRoutes(context),
    ...(transfers ? [...backupRoutes(context), ...checkpointRoutes(context), ...imageTransferRoutes(context)] : []),
    ...nicRoutes(context),
    ...macPoolRoutes(context),
    ...templateRoutes(context),
    ...diskRoutes(context),
    ...tagRoutes(context),
    ...jobRoutes(context),
    ...eventRoutes(context),
    ...userRoutes(context),
    ...roleRoutes(context),
    ...permissionRoutes(context),
  ];
}
