// The inventory against the lab's engine over HTTP: its pages, and its search for tags.
import { createInventoryActivities } from '../../activities/inventory';
import type { ControlDependencies } from '../../activities/dependencies';
import type { InventoryVm } from '../../adapters/catalog/port-inventory';
import { useLabDesk } from './lab-desk';

const deskOf = useLabDesk();

test('every VM, with the tags that objectives name and no others', async () => {
  const { lab, engine, vmId } = deskOf();
  const other = await lab.vm('other');
  for (const name of ['gold', 'with space', 'unnamed']) await lab.json('POST', '/tags', { name });
  for (const name of ['gold', 'with space', 'unnamed']) await lab.json('POST', `/vms/${vmId}/tags`, { name });
  await lab.json('POST', `/vms/${other}/tags`, { name: 'unnamed' });
  const recorded: InventoryVm[] = [];
  const catalog = {
    beginInventory: () => Promise.resolve({ since: 'now' }),
    recordVms: (_: string, vms: readonly InventoryVm[]) => Promise.resolve(void recorded.push(...vms)),
    listVmsNotSeen: () => Promise.resolve([]),
    finishInventory: () => Promise.resolve({ vms: recorded.length, removed: 0 }),
  };
  const objectives = ['gold', 'with space', 'nobody'].map((tag) => ({ name: 'x', vms: { tag }, maxAgeHours: 1 }));
  const dependencies = { engineOf: () => engine, catalog, settingsOf: () => ({ applianceIds: [other] }), vmObjectivesOf: () => objectives } as unknown as ControlDependencies;
  await createInventoryActivities(dependencies).refreshInventory({ engine: 'lab' });
  const found = recorded.filter((vm) => [vmId, other].includes(vm.vmId)).sort((one, another) => one.name.localeCompare(another.name));
  expect(found).toEqual([{ vmId, name: 'guest', tags: ['gold', 'with space'], isInfrastructure: false }, { vmId: other, name: 'other', tags: [], isInfrastructure: true }]);
});
