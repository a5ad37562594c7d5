// Types of dev/screenshots/pages.mjs for tests.
export interface Page {
  readonly name: string;
  readonly height: number;
  readonly from?: number;
  readonly at: 'list' | { readonly run: 'running' | 'failed' | 'cancelled'; readonly tab: string };
  readonly says: Readonly<Record<string, RegExp>>;
}

export declare const pages: readonly Page[];
export declare const listColumns: readonly string[];
export declare const columnsOfUi: readonly string[];
export declare function unanswered(page: Page, text: string): readonly string[];
