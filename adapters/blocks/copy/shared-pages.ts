// Memory that threads share and that begins on a page: O_DIRECT reads need it, and a plain SharedArrayBuffer begins 16 bytes behind one.
// WebAssembly's memory is the only one that JavaScript can have on a page's boundary; nothing of WebAssembly is run.

const wasmPageBytes = 64 * 1024;

/** Node has it; TypeScript knows it only as part of a browser. */
declare const WebAssembly: { readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => { readonly buffer: SharedArrayBuffer } };

/** All zeroes. The length is rounded up to 64 KiB. */
export function sharedPages(bytes: number): SharedArrayBuffer {
  const pages = Math.ceil(bytes / wasmPageBytes);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer;
}
