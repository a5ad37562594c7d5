// Types of dev/screenshots/shrink-png.mjs for tests.
export declare function shrinkPng(png: Buffer): Buffer;
