// Values of options and arguments: from text to what requests want, with errors that commander shows beside the option.
import { InvalidArgumentError } from 'commander';
import { parseBytes } from './format';

export function bytesOption(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined) throw new InvalidArgumentError('Give a size such as 50MiB, 1.5G or 1048576.');
  return bytes;
}

/** never · always · a number: every so many backups. */
export function witnessOption(text: string): 'never' | 'always' | { readonly every: number } {
  if (text === 'never' || text === 'always') return text;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('Give never, always, or a number: every so many backups.');
  return { every: Number(text) };
}

/** `off` takes a limit away. */
export function rateArgument(text: string): number | null {
  return text === 'off' ? null : bytesOption(text);
}

export function wholeNumberOption(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}

export function collect(text: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, text];
}

/** `<from>=<to>`: a mapping on the command line. The last "=" counts: a network's name may have one. */
export function pairOption(text: string, earlier: readonly Pair[]): readonly Pair[] {
  const at = text.lastIndexOf('=');
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError('Give it as <from>=<to>.');
  return [...earlier, { from: text.slice(0, at), to: text.slice(at + 1) }];
}

export interface Pair {
  readonly from: string;
  readonly to: string;
}

/** Requests have no keys that were not given: `undefined` is not a value in them. */
export function given<Options extends object>(options: Options): { [Key in keyof Options]: Exclude<Options[Key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
