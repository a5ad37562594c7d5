// HOLDFAST_CRASH_CELLS, a regular expression, leaves out all other cells, for whoever looks into a red one.
const only = process.env['HOLDFAST_CRASH_CELLS'];
export const isFiltered = only !== undefined;
export const isWanted = ({ name }: { readonly name: string }): boolean => only === undefined || new RegExp(only).test(name);
