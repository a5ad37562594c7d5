// Descriptions of VM backups, checkpoints and image transfers. See types.ts.
import { list, object, type TypeDescription } from './description';

export const backupTypes: Readonly<Record<string, TypeDescription>> = {
  backup: {
    element: 'backup',
    collection: 'backups',
    fields: {
      name: 'string',
      description: 'string',
      creation_date: 'date',
      disks: list('disk'),
      from_checkpoint_id: 'string',
      host: object('host'),
      modification_date: 'date',
      phase: 'string',
      snapshot: object('snapshot'),
      to_checkpoint_id: 'string',
      vm: object('vm'),
    },
  },
  checkpoint: {
    element: 'checkpoint',
    collection: 'checkpoints',
    fields: {
      description: 'string',
      creation_date: 'date',
      disks: list('disk'),
      parent_id: 'string',
      state: 'string',
      vm: object('vm'),
    },
  },
  image: { element: 'image', collection: 'images', fields: { name: 'string' } },
  image_transfer: {
    element: 'image_transfer',
    collection: 'image_transfers',
    fields: {
      active: 'bool',
      backup: object('backup'),
      direction: 'string',
      disk: object('disk'),
      format: 'string',
      host: object('host'),
      image: object('image'),
      inactivity_timeout: 'int',
      phase: 'string',
      proxy_url: 'string',
      shallow: 'bool',
      snapshot: object('disk_snapshot'),
      timeout_policy: 'string',
      transfer_url: 'string',
      transferred: 'int',
    },
  },
};
