// What a check's result calls the thing that was looked at.
export const objectNames = {
  control: 'control worker',
  engine: (name: string): string => `engine ${name}`,
  repository: (name: string): string => `repository ${name}`,
  appliance: (engine: string, vmId: string): string => `appliance ${vmId} of ${engine}`,
} as const;
