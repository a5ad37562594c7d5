// oVirt's saved configuration of a VM (OVF): reading it, and rewriting it for a restore. Pure; the saved text itself is never
// changed in the repository.
export { type OvfDisk, type OvfNic, type OvfSummary, readOvf } from './ovf/read';
export { type RewriteRequest, rewriteOvf } from './ovf/rewrite';
