// docs/doctor.md against the code: every check with its meaning and remedy, every permit, every mark.
import { marks } from '../../client/cli/commands/doctor';
import { exitCodes } from '../../client/cli/exit-codes';
import { checkIds, checkTable, verdicts } from '../../domain/doctor/checks';
import { neededPermits } from '../../domain/doctor/judge-engine';
import { generatedBlock, markdownTable, readText } from './published';

const file = 'docs/doctor.md';

test('the table of checks is the code\'s', () => {
  const rows = checkIds.map((id) => [`\`${id}\``, checkTable[id].meaning, checkTable[id].remedy]);
  const current = markdownTable(['check', 'it is ok when', 'what mends it'], rows);
  expect(generatedBlock(file, 'checks', current)).toBe(current);
});

test('the table of permits is the code\'s', () => {
  const current = markdownTable(['permit', 'to', 'needed'], neededPermits.map(({ permit, why, needed, systemOnly }) => [`\`${permit}\`${systemOnly ? ' on System' : ''}`, why, needed]));
  expect(generatedBlock(file, 'permits', current)).toBe(current);
});

test.each(verdicts)('the verdict %s is explained with its mark', (verdict) => {
  expect(readText(file)).toContain(`| ${marks[verdict]} | ${verdict} |`);
});

test('the exit code is the one that the command gives', () => {
  expect(readText(file)).toContain(`exit code ${exitCodes.unhealthy.code}`);
});
