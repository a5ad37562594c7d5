// Objects that permissions may be given on, as the API's elements are called, and where they are found in its paths.

export const scopePaths = {
  vm: 'vms',
  disk: 'disks',
  storage_domain: 'storagedomains',
  cluster: 'clusters',
  data_center: 'datacenters',
  template: 'templates',
  vnic_profile: 'vnicprofiles',
} as const;

export type Scope = keyof typeof scopePaths;

export const scopes: readonly Scope[] = ['vm', 'disk', 'storage_domain', 'cluster', 'data_center', 'template', 'vnic_profile'];
