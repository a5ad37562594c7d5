// What a host is made from. Paths are absolute; nothing here is read from the environment.

/** The part of a pino logger that the host uses. */
export interface HostLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** How an appliance's device is served: a file in a FUSE mount, or an NBD socket. */
export type ExportKind = 'fuse' | 'nbd';

export interface HostOptions {
  /** Storage domains, VMs: everything that survives a restart. */
  readonly stateDir: string;
  /** `{vmlinux,initrd.zst,guest.json}`, as dev/guest.mjs makes it. */
  readonly guestDir: string;
  /** Shared by all labs of a user: saved guest states, the verdict about KVM. */
  readonly cacheDir: string;
  /** Directories with QEMU's firmware when its packages were unpacked instead of installed (passed as `-L`). */
  readonly qemuData?: readonly string[];
  readonly log: HostLog;
  /** auto (default): FUSE exports where they work, else NBD sockets. off: NBD sockets. */
  readonly fuse?: 'auto' | 'off';
  /** auto (default): KVM where our own kernel boots on it, else TCG. */
  readonly accel?: 'auto' | 'tcg';
}
