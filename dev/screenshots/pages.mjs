// The pages of Temporal's UI that docs/operators.md shows, and what an operator must be able to read on each. No browser here: a test reads
// this list too.

/** What the list's table shows, from left to right; the UI begins with columns of its own, which are taken out. */
export const listColumns = ['Status', 'HoldfastVmName', 'HoldfastProgress', 'HoldfastLeftovers', 'Workflow ID', 'Start'];
export const columnsOfUi = ['Status', 'Workflow ID', 'Run ID', 'Type', 'Start', 'End'];
export const listQuery = 'WorkflowType = "backupVm"';

/** A page of one run: which run, which of its tabs. */
const tab = (run, name) => ({ run, tab: name });

/**
 * `says`: what is asked → the text that answers it, on the page or in its frames. `height`: of the picture; its width is always 1280. `from`:
 * where on the page it begins.
 * @type {readonly { name: string, height: number, from?: number, at: 'list' | { run: 'running'|'failed'|'cancelled', tab: string }, says: Record<string, RegExp> }[]}
 */
export const pages = [
  {
    name: 'list',
    height: 480,
    at: 'list',
    says: {
      'which VM': /Running[^]*?\bdemo\b/,
      'how far, how fast and how long': /copy \d+ %, [\d.]+ [KM]iB\/s, about .+ left/,
      'that and why a run failed, and that it left something': /Failed[^]*?failed \[device\.foreign\], 1 left behind/,
      'that a cancelled run left nothing': /Canceled[^]*?cancelled, nothing left behind/,
    },
  },
  {
    name: 'running',
    height: 900,
    at: tab('running', 'user-metadata'),
    says: {
      'what it is': /Back up demo of lab to main \(full, appliance\)/,
      'which VM, how far and how fast': /demo: backup, copying · \d+ % of 3\.0 GiB · [\d.]+ [KM]iB\/s/,
      'how long it takes': /about .+ left/,
      'the limit that somebody set': /at most 1\.0 MiB\/s a disk/,
      'each disk': /demo_Disk1\s+copying\s+\d+ %\s+2\.0 GiB[^]*demo_Disk2\s+(copying|done)\s+\d+ %\s+1\.0 GiB/,
      'what it holds': /Holds now, and releases at its end[^]*attachment[^]*partial-backup[^]*snapshot [“"]Holdfast backup /,
      'what it found of an earlier run': /released what an earlier run .* had left: snapshot/,
    },
  },
  {
    name: 'failed',
    height: 1000,
    at: tab('failed', 'user-metadata'),
    says: {
      'which VM, and that it failed': /demo: backup failed after /,
      'why': /Failure device\.foreign: .*\S/,
      'what to do': /What to do: \S/,
      'how far it came': /demo_Disk1\s+stopped\s+\d+ %/,
      'what was undone': /Undone, newest first[^]*detach disk demo_Disk2 from the appliance[^]*detach disk demo_Disk1 from the appliance[^]*drop the partial backup/,
      'what is left, and what to do about it': /Left behind[^]*snapshot [“"]Holdfast backup [0-9a-f-]{36}[^]*What to do: the next backup of the VM tries again/,
    },
  },
  {
    name: 'cancelled',
    height: 900,
    at: tab('cancelled', 'user-metadata'),
    says: {
      'which VM, that it was cancelled, and that nothing is left': /demo: backup cancelled after .+, nothing left behind/,
      'how far it came': /demo_Disk1\s+stopped\s+\d+ %/,
      'what was undone': /Undone, newest first[^]*detach disk demo_Disk1 from the appliance[^]*drop the partial backup[^]*remove the snapshot/,
    },
  },
  {
    name: 'timeline',
    from: 560,
    height: 900,
    at: tab('cancelled', 'history'),
    says: {
      'what each step did, to which object': /copy disk demo_Disk1 into the repository, at most 1\.0 MiB\/s[^]*attach disk demo_Disk1 to the appliance[^]*snapshot of VM demo/,
      'what undid it': /remove the snapshot of VM demo and wait for the merge[^]*drop the partial backup [0-9a-f-]{36}[^]*detach disk demo_Disk1 from the appliance/,
    },
  },
];

/** What is asked and not answered by the text. */
export function unanswered(page, text) {
  return Object.entries(page.says).filter(([, pattern]) => !pattern.test(text)).map(([question]) => question);
}
