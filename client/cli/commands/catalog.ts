// `holdfast catalog rebuild`: the index of backups anew from the manifests.
import type { Command } from 'commander';
import { exitCodes } from '../exit-codes';
import { reportRebuild } from '../report';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host } from '../session';

export function addCatalog(program: Command, { io, exitWith }: Host): void {
  const catalog = program.command('catalog').description('the catalog of backups');
  leaf(catalog, 'rebuild', 'rebuild the index of backups from the manifests in a repository', 'holdfast catalog rebuild --repository main')
    .option('--repository <name>', 'repository (HOLDFAST_REPOSITORY)')
    .action(async (options: CommonOptions) => {
      exitWith(await runSession(io, options, async (session) => {
        const repository = session.repository();
        const output = await (await session.client()).rebuildCatalog({ repository });
        session.print(output, () => reportRebuild(repository, output));
        return exitCodes.ok.code;
      }));
    });
}
