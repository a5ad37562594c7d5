// Network interfaces of a VM.
import { isRunning, needVm, placesOf, type Context } from '../context';
import { addNic, profileOfNetwork } from '../commands/nics';
import { incomplete, invalidValue, notFound } from '../faults';
import { bodyId, done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { nicModels } from '../ovf/words';
import { refuse } from '../refusals';
import type { NicModel, NicRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { ref } from './links';

function view(context: Context, nic: NicRecord): Wire {
  const networkId = placesOf(context, 'vnic_profile').find((profile) => profile.id === nic.profileId)?.parentId;
  return wire('nic', {
    ...ref('vms', nic.vmId, 'nics', nic.id),
    name: nic.name,
    interface: nic.interface,
    linked: nic.linked,
    mac: { address: nic.mac },
    plugged: nic.plugged,
    vm: ref('vms', nic.vmId),
    ...(networkId === undefined ? {} : { network: ref('networks', networkId) }),
    ...(nic.profileId === undefined ? {} : { vnic_profile: ref('vnicprofiles', nic.profileId) }),
  });
}

function isModel(word: string): word is NicModel {
  return word in nicModels;
}

function create(context: Context, call: Call): Answer {
  const vm = needVm(context, param(call, 'vm'));
  const { body } = call;
  const name = body.word('name');
  if (name === undefined) throw incomplete('Nic', ['name']);
  const model = body.word('interface') ?? 'virtio';
  if (!isModel(model)) throw invalidValue(model, 'NicInterface');
  const networkName = body.word('network.name');
  const profileId = bodyId(call, 'vnic_profile.id') ?? (networkName === undefined ? undefined : profileOfNetwork(context, networkName));
  if (profileId !== undefined && !placesOf(context, 'vnic_profile').some((profile) => profile.id === profileId))
    throw invalidValue(profileId, 'the vNIC profiles');
  const nic = addNic(context, vm, {
    name,
    interface: model,
    mac: body.word('mac.address'),
    profileId,
    linked: body.flag('linked') ?? true,
    plugged: body.flag('plugged') ?? true,
  });
  return { kind: 'created', item: view(context, nic) };
}

export function nicRoutes(context: Context): Route[] {
  const { nics } = context.store.tables;
  const path = '/vms/:vm/nics';
  const wanted = (call: Call): NicRecord => {
    const vm = needVm(context, param(call, 'vm'));
    const nic = nics.get(param(call, 'nic'));
    if (nic?.vmId !== vm.id) throw notFound();
    return nic;
  };
  const remove = (call: Call): Answer => {
    const nic = wanted(call);
    if (nic.plugged && isRunning(needVm(context, nic.vmId))) throw refuse('nic/remove-plugged');
    context.store.write(() => {
      nics.delete(nic.id);
    });
    return done();
  };
  return [
    {
      method: 'GET',
      path,
      handle: (call) =>
        many(
          'nic',
          nics.where((nic) => nic.vmId === needVm(context, param(call, 'vm')).id).map((nic) => view(context, nic)),
        ),
    },
    {
      method: 'POST',
      path,
      body: { type: 'nic', accepts: ['name', 'interface', 'mac.address', 'network.name', 'vnic_profile.id', 'linked', 'plugged'] },
      handle: (call) => create(context, call),
    },
    { method: 'GET', path: `${path}/:nic`, handle: (call) => one(view(context, wanted(call))) },
    { method: 'DELETE', path: `${path}/:nic`, handle: remove },
  ];
}
