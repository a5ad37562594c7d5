// The host side as the engine side sees it.
export { createHost, type LocalHost } from './host';
export { createImageioDaemon, type LocalImageioDaemon } from './imageio/daemon';
export type { HostLog, HostOptions } from './host-options';
export { createFilesystemVolume } from './fixtures';
export * from './backup-port';
export * from './port';
