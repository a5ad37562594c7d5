// Types of dev/main-job/lab-user.mjs, for the end-to-end tests.
export interface LabUser {
  /** The parsed answer; undefined for 404, an error for any other refusal. */
  engine(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<unknown>;
  /** Runs a shell script in the guest and returns its output; an exit code other than 0 is an error. */
  guest(vmId: string, script: string, timeoutMs?: number): Promise<string>;
  findVm(name: string): Promise<{ readonly id: string; readonly name: string; readonly status: string } | undefined>;
  bring(vmId: string, wanted: 'up' | 'down'): Promise<void>;
  waitForStatus(vmId: string, wanted: string, seconds?: number): Promise<void>;
  removeWithDisks(vmId: string): Promise<void>;
}

export declare function labUser(connectionFile: string): LabUser;
