// The ids of all patches, each with the release that it came with (docs/versioning.md). Never used twice.

/** 0.2.0. Until then a cancel that came while the last step before the seal, or before a restored VM is kept, could not hear it was passed over. */
export const cancelObeyedBeforeKept = '2026-11-cancel-obeyed-before-kept';
