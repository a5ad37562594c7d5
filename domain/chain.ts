// Chains: which kind a backup can be, on which base, and why; which checkpoints of ours no chain needs; when the host bears witness. Pure.
export { chooseKind, type ChainFacts, type Chosen, type KindChoice, type Removable } from './chain/choose-kind';
export type { ChainBackup, ChainDisk, ChainPolicy, DiskMode, EngineCheckpoint, VmPast } from './chain/facts';
export { chainReasonCodes, type ChainReason, type ChainReasonCode } from './chain/reasons';
export { removableCheckpoints } from './chain/removable-checkpoints';
export { defaultWitness, witnessDue, witnessPolicySchema, type WitnessPolicy } from './chain/witness';
