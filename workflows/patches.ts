// The ids of all patches, each with the release that it came with (docs/versioning.md). Never used twice.

/** 0.2.0. Until then a cancel that came while the last step before the seal, or before a restored VM is kept, could not hear it was passed over. */
export const cancelObeyedBeforeKept = '2026-11-cancel-obeyed-before-kept';

/** 0.2.0. Until then an upload whose ticket was gone was tried thrice with the same transfer, and then ended the restore. */
export const uploadBegunAnew = '2026-11-upload-begun-anew';

/** 0.2.0. Until then checkpoints whose bitmaps a host had lost were removed after the full backup, which could take the new checkpoint along. */
export const unusableCheckpointsFirst = '2026-11-unusable-checkpoints-first';
