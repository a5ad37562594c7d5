// The recorder's own rules, on a small history: bytes and enums come through, directories become names, stack traces go.
import { defaultPayloadConverter } from '@temporalio/common';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { portableHistory, textsOf } from '../histories/portable.cjs';

const base64 = (value: string): string => Buffer.from(value, 'utf8').toString('base64');

const history = historyFromJSON({
  events: [
    {
      eventId: '1',
      eventType: 'EVENT_TYPE_WORKFLOW_EXECUTION_FAILED',
      workflowExecutionFailedEventAttributes: {
        failure: {
          message: 'cannot write /home/me/state/repository: /home/me/state-of-another is full',
          stackTrace: 'Error\n    at /home/me/checkout/dist/worker/main.js:1:1',
          cause: { message: 'ENOSPC', stackTrace: 'Error\n    at /home/me/checkout/dist/adapters/x.js:1:1' },
          applicationFailureInfo: {
            type: 'repository.full',
            details: {
              payloads: [{ metadata: { encoding: base64('json/plain') }, data: base64('{"path":"/home/me/state/repository/ä"}') }],
            },
          },
        },
      },
    },
  ],
});
const places = { '/home/me/state': '/var/lib/holdfast', '/home/me/state-of-another': '/var/lib/other' };
const text = portableHistory(history, places);
const eventOf = (json: string) => historyFromJSON(JSON.parse(json)).events?.[0];
const failureIn = (json: string) => eventOf(json)?.workflowExecutionFailedEventAttributes?.failure;

test('directories become names, the longest first, in texts and in payloads', () => {
  const failure = failureIn(text);
  expect(failure?.message).toBe('cannot write /var/lib/holdfast/repository: /var/lib/other is full');
  const [payload] = failure?.applicationFailureInfo?.details?.payloads ?? [];
  expect(payload && defaultPayloadConverter.fromPayload(payload)).toEqual({ path: '/var/lib/holdfast/repository/ä' });
});

test('stack traces are left out, at every depth', () => {
  expect(text).not.toContain('stackTrace');
  expect(failureIn(text)?.cause?.message).toBe('ENOSPC');
});

test('it is JSON that Temporal reads, one event a line', () => {
  expect(text.split('\n')).toHaveLength(4);
  expect(historyFromJSON(JSON.parse(text))).toEqual(historyFromJSON(JSON.parse(portableHistory(historyFromJSON(JSON.parse(text)), {}))));
  expect(JSON.parse(text)).toMatchObject({ events: [{ eventId: '1', eventType: 'EVENT_TYPE_WORKFLOW_EXECUTION_FAILED' }] });
});

test('every text is found, payloads decoded', () => {
  const found = [...textsOf(JSON.parse(text))].map((each) => each.text);
  expect(found).toContain('{"path":"/var/lib/holdfast/repository/ä"}');
  expect(found).toContain('repository.full');
});
