// What movers and appliances' workers can see of their own machines, and movers of the hosts. Probes are written into the repository and removed. Roles mover and
// appliance.
import { stat, access, constants } from 'node:fs/promises';
import { examineLvm } from '../../adapters/machine/lvm';
import { fileSystemOf, spaceOf } from '../../adapters/machine/file-system';
import { examinePrograms } from '../../adapters/machine/programs';
import { measureFlush, probeLocks, repositoryIdAt } from '../../adapters/repository/examine';
import { ok, skipped, type Check } from '../../domain/doctor/checks';
import { judgeLvm } from '../../domain/doctor/judge-lvm';
import { judgeFlush, judgeLocking, judgeSpace } from '../../domain/doctor/judge-repository';
import { judgeApplianceRepository, judgeDevices, judgePrograms } from '../../domain/doctor/judge-workers';
import { objectNames } from '../../domain/doctor/objects';
import type { InstalledEngine } from '../../domain/flows/doctor';
import type { ApplianceExamination, MoverExamination } from './dependencies';
import { examine, examineWorker } from './examine';
import { examineHosts } from './hosts';

export interface MoverDoctorActivities {
  /** `engines`: whose hosts it has to reach. An older control worker names none. */
  examineMover(input: { readonly repository: string; readonly engines?: readonly InstalledEngine[] }): Promise<{ readonly checks: readonly Check[]; readonly repositoryId?: string }>;
}

export interface ApplianceDoctorActivities {
  /** `repositoryIds`: what the movers found, by name. */
  examineAppliance(input: { readonly engine: string; readonly vmId: string; readonly repositoryIds: Readonly<Record<string, string>> }): Promise<readonly Check[]>;
}

export function createMoverDoctorActivities(dependencies: MoverExamination): MoverDoctorActivities {
  return {
    async examineMover({ repository: name, engines = [] }) {
      const repository = dependencies.placeOf(name);
      const { path } = repository;
      const object = objectNames.repository(name);
      const hosts = Promise.all(engines.map((engine) => examineHosts(engine, name, dependencies)));
      const worker = [
        ...examineWorker({ node: 'mover.node', clock: 'mover.clock' }, object, dependencies),
        await examine('mover.programs', object, async () => judgePrograms(await examinePrograms())),
      ];
      const writable = await examine('repository.writable', object, async () => {
        await repository.check();
        return ok(path);
      });
      const unlessWritable = (why: string): (() => Promise<ReturnType<typeof skipped>>) => () => Promise.resolve(skipped(why));
      const isWritable = writable.verdict === 'ok';
      const checks = [
        ...worker,
        writable,
        await examine('repository.space', object, async () => judgeSpace(await spaceOf(path))),
        await examine('repository.flush', object, isWritable ? async () => judgeFlush({ ...(await fileSystemOf(path)), medianMs: await measureFlush(path) }) : unlessWritable('the repository is not writable')),
        await examine('repository.locking', object, isWritable ? async () => judgeLocking(await probeLocks(path), await fileSystemOf(path)) : unlessWritable('the repository is not writable')),
        ...(await hosts).flat(),
      ];
      const repositoryId = await repositoryIdAt(path);
      return { checks, ...(repositoryId === undefined ? {} : { repositoryId }) };
    },
  };
}

export function createApplianceDoctorActivities(dependencies: ApplianceExamination): ApplianceDoctorActivities {
  const { devices, repositories } = dependencies;
  return {
    async examineAppliance({ engine, vmId, repositoryIds }) {
      const object = objectNames.appliance(engine, vmId);
      const checks = [
        ...examineWorker({ node: 'appliance.node', clock: 'appliance.clock' }, object, dependencies),
        await examine('appliance.programs', object, async () => judgePrograms(await examinePrograms())),
        await examine('appliance.devices', object, async () => judgeDevices(devices, await stateOfDirectory(devices))),
        await examine('appliance.lvm', object, async () => judgeLvm(await examineLvm())),
      ];
      for (const repository of repositories) {
        checks.push(await examine('appliance.repository', `${objectNames.repository(repository.name)} in ${object}`, async () => {
          const failure = await repository.check().then(() => undefined, (error: unknown) => (error instanceof Error ? error.message : String(error)));
          return judgeApplianceRepository({ name: repository.name, id: await repositoryIdAt(repository.path), moverId: repositoryIds[repository.name], ...(failure === undefined ? {} : { failure }) });
        }));
      }
      return checks;
    },
  };
}

async function stateOfDirectory(path: string): Promise<Parameters<typeof judgeDevices>[1]> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return 'missing';
  if (!found.isDirectory()) return 'not-a-directory';
  return access(path, constants.R_OK | constants.X_OK).then(() => 'directory' as const, () => 'unreadable' as const);
}
