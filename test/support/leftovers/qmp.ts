// What every QEMU itself says through the monitor that the lab keeps free for lookers: exports, jobs and block nodes that belong
// to no plugged disk. A client of its own, twenty lines, so that the lab's cannot hide anything.
import { connect } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { EngineView } from './engine';
import type { FoundLeftover } from './finding';
import { pluggedDisks, type LabVm } from './lab-files';

const deadlineMs = 10_000;
const answerSchema = z.object({ id: z.number().optional(), return: z.unknown().optional(), error: z.object({ desc: z.string() }).optional() });
const exportsSchema = z.array(z.object({ id: z.string(), type: z.string(), 'node-name': z.string() }));
const jobsSchema = z.array(z.object({ id: z.string(), type: z.string(), status: z.string() }));
/** QEMU writes a node that a plain name does not describe (an explicit backing node) as `json:{...}`: its own file, not its backing's, is meant. */
function fileOfNode(name: string): string {
  if (!name.startsWith('json:')) return name;
  let node: unknown = JSON.parse(name.slice('json:'.length));
  while (typeof node === 'object' && node !== null) node = Reflect.get(node, 'filename') ?? Reflect.get(node, 'file');
  return typeof node === 'string' ? node : name;
}

const nodesSchema = z.array(z.object({ 'node-name': z.string().default(''), drv: z.string(), file: z.string().transform(fileOfNode) }));

/** Answers in the order of the questions. */
export async function askQemu(socketPath: string, questions: readonly object[]): Promise<readonly unknown[]> {
  const socket = connect(socketPath);
  socket.setTimeout(deadlineMs, () => socket.destroy(new Error(`no answer within ${deadlineMs} ms`)));
  // An interface does not pass its stream's errors on: without this listener a refused connection would end the process.
  let broken: Error | undefined;
  socket.on('error', (error) => (broken = error));
  try {
    [{ execute: 'qmp_capabilities' }, ...questions].forEach((question, id) => socket.write(`${JSON.stringify({ ...question, id })}\n`));
    const answers: unknown[] = [];
    for await (const line of createInterface({ input: socket })) {
      const answer = answerSchema.parse(JSON.parse(line));
      if (answer.id === undefined) continue;
      if (answer.error) throw new Error(answer.error.desc);
      answers[answer.id] = answer.return;
      if (answer.id === questions.length) return answers.slice(1);
    }
    throw broken ?? new Error('the monitor closed');
  } finally {
    socket.destroy();
  }
}

export async function lookAtQemus(vms: readonly LabVm[], view: EngineView): Promise<readonly FoundLeftover[]> {
  const found: FoundLeftover[] = [];
  for (const vm of vms) if (vm.observe !== undefined) found.push(...(await lookAtQemu(vm, vm.observe, view)));
  return found;
}

async function lookAtQemu({ vmId, directory }: LabVm, observe: string, view: EngineView): Promise<readonly FoundLeftover[]> {
  const finding = (what: string, object: string, detail: string): FoundLeftover => ({ where: 'qmp', what, object, detail: `QEMU of VM ${vmId}: ${detail}` });
  let answers: readonly unknown[];
  try {
    answers = await askQemu(observe, [{ execute: 'query-block-exports' }, { execute: 'query-jobs' }, { execute: 'query-named-block-nodes', arguments: { flat: true } }]);
  } catch (error) {
    return [finding('silent-monitor', observe, `cannot be asked (${error instanceof Error ? error.message : String(error)})`)];
  }
  const [exports, jobs, nodes] = [exportsSchema.parse(answers[0]), jobsSchema.parse(answers[1]), nodesSchema.parse(answers[2])];
  const plugged = pluggedDisks(view, vmId);
  const fileOf = (node: string): string => nodes.find(({ 'node-name': name }) => name === node)?.file ?? '';
  const isPlugged = (file: string): boolean => plugged.some((diskId) => file.includes(diskId));
  return [
    ...exports.filter((each) => !isPlugged(fileOf(each['node-name']))).map((each) => finding('export', each.id, `${each.type} export of ${fileOf(each['node-name'])}, which is no plugged disk`)),
    ...jobs.map((job) => finding('job', job.id, `${job.type} job is ${job.status}`)),
    ...nodes.filter(({ drv }) => drv !== 'file').flatMap(({ 'node-name': name, file }) => {
      if (!isPlugged(file)) return [finding('block-node', name, `has ${file} open, which is no plugged disk`)];
      // The throw-away overlay of a plugged disk lies in the VM's directory; every other layer must be a volume that the engine knows.
      if (path.dirname(file) === path.join(directory, 'overlays') || view.volumeIds.has(path.basename(file))) return [];
      return [finding('forgotten-layer', name, `has ${file} in a disk's chain, which is no volume of the engine`)];
    }),
  ];
}
