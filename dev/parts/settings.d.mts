// Types of dev/parts/settings.mjs.
export interface Settings {
  readonly namespace: string;
  readonly database: string;
  readonly ports: Readonly<Record<'temporal' | 'temporalUi' | 'postgres' | 'lab', number>>;
  /** `Name=Type` */
  readonly searchAttributes: readonly string[];
}

export declare const settingsFile: string;
export declare function readSettings(file?: string): Settings;
export declare function temporalArguments(settings: Settings, databaseFile: string | undefined, options?: { readonly flushes?: boolean }): string[];
export declare function choosePorts(wanted: Settings['ports'], mode: 'auto' | 'file' | 'free', say: (line: string) => void, names?: readonly (keyof Settings['ports'])[]): Promise<Partial<Settings['ports']>>;
