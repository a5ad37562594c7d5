// From a history as the server tells it to the text that is committed: Temporal's own JSON (never JSON.stringify of the protobuf object,
// which loses bytes and enums), one event a line, and nothing in it of the machine that recorded it. Reads no server, writes no file.
const { historyToJSON } = require('@temporalio/common/lib/proto-utils');

/** Stack traces name the recorder's directories. Flows never read them, so a replay does not need them. */
const leftOut = 'stackTrace';

/**
 * @param {import('@temporalio/common/lib/proto-utils').History} history
 * @param {Readonly<Record<string, string>>} places what is of the recording machine → what stands for it; the longest match wins
 */
function portableHistory(history, places) {
  const { events } = JSON.parse(historyToJSON(history));
  return eventLines(events.map((event) => portable(event, placer(places))));
}

function eventLines(events) {
  return `{"events":[\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]}\n`;
}

/** Every text of a history: keys' values as they are, payloads decoded. `path` ends with the name of the field. */
function* textsOf(value, path = '') {
  if (typeof value === 'string') yield { path, text: value };
  else if (isPayload(value)) yield { path: `${path}.data`, text: fromBase64(value.data ?? '') };
  else if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) yield* textsOf(inner, `${path}.${key}`);
}

function portable(value, place) {
  if (typeof value === 'string') return place(value);
  if (Array.isArray(value)) return value.map((inner) => portable(inner, place));
  if (typeof value !== 'object' || value === null) return value;
  if (isPayload(value)) return { ...value, data: toBase64(place(fromBase64(value.data ?? ''))) };
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== leftOut)
      .map(([key, inner]) => [key, portable(inner, place)]),
  );
}

function placer(places) {
  const longestFirst = Object.entries(places).sort(([one], [other]) => other.length - one.length);
  return (text) => longestFirst.reduce((placed, [own, name]) => placed.replaceAll(own, name), text);
}

function isPayload(value) {
  return typeof value === 'object' && value !== null && typeof value.metadata?.encoding === 'string';
}

const fromBase64 = (data) => Buffer.from(data, 'base64').toString('utf8');
const toBase64 = (text) => Buffer.from(text, 'utf8').toString('base64');

module.exports = { portableHistory, eventLines, textsOf };
