// Records are immutable; an optional field goes by making a copy that lacks it.

export function without<T extends object, Key extends keyof T & string>(record: T, key: Key): Omit<T, Key> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key)) as Omit<T, Key>;
}
