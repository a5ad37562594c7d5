// One row of the engine's refusals (refusals.ts).
export interface Refusal {
  readonly operation: string;
  readonly condition: string;
  readonly http: 400 | 403 | 409 | 500;
  readonly text: string;
  readonly source: string;
  /** `[Internal Engine Error]` and the plain texts come with another reason or without brackets. */
  readonly plain?: true;
}
