// What a person wants to know about running parts, in four lines.
export function addresses({ temporal, lab, repository, state }) {
  return [
    `Temporal     ${temporal.address}  (UI: ${temporal.uiUrl}, namespace ${temporal.namespace})`,
    `Lab engine   ${lab.url}  (user and password: ${lab.connectionFile})`,
    `Repository   ${repository.path}`,
    `State, logs  ${state}`,
  ].join('\n');
}
