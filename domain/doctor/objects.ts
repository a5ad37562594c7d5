// What a check's result calls the thing that was looked at.
export const objectNames = {
  control: 'control worker',
  engine: (name: string): string => `engine ${name}`,
  repository: (name: string): string => `repository ${name}`,
  appliance: (engine: string, vmId: string): string => `appliance ${vmId} of ${engine}`,
  host: (host: string, engine: string, repository: string): string => `host ${host} of ${engine}, seen from repository ${repository}`,
  hosts: (engine: string, repository: string): string => `hosts of ${engine}, seen from repository ${repository}`,
} as const;
