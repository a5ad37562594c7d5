// Sizes of all payloads in a history: inputs, results, signals, failures' details. Search attributes count too.
export function payloadBytes(history: unknown): readonly number[] {
  const sizes: number[] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    if ('metadata' in node && 'data' in node && node.data instanceof Uint8Array) {
      sizes.push(node.data.byteLength);
      return;
    }
    for (const child of Object.values(node)) walk(child);
  };
  walk(history);
  return sizes;
}
