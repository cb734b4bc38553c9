import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  BLOCK_EVENT,
  BLOCK_EVENT_ID,
  BLOCK_FIELDS,
  BLOCK_FORMAT_TEXT,
} from '../../../../src/decode/text/blk-format.ts';
import { decodeText, fixture, lineOf, parsed } from './support.ts';

const FORMAT = parsed('ftrace', BLOCK_FORMAT_TEXT);
const TYPE = {
  event: BLOCK_EVENT,
  format: FORMAT,
  fields: ['dev', 'action', 'rwbs', 'sector', 'nr_bytes', 'error'],
};
const DEV = 8 * 2 ** 20 + 17;

/** Fields that the reader finds in the text of a line, after the prefix. */
function read(text: string) {
  const { calls, errors } = decodeText(lineOf(text) + lineOf('  8,17   Q   N [end]'), [TYPE]);
  assert.deepEqual([calls.length, errors], [2, []], text);
  return Object.values(calls[0].fields);
}

describe('lines of blk', () => {
  it('fill a record of a format that the agent defines', () => {
    assert.equal(FORMAT.id, BLOCK_EVENT_ID);
    for (const [name, place] of Object.entries(BLOCK_FIELDS)) {
      const { offset, size } = FORMAT.fields.find((field) => field.name === name) ?? {};
      assert.deepEqual({ offset, size }, place);
    }
  });

  const lines: [text: string, ...values: (string | number)[]][] = [
    ['  8,17   Q  WS 0 + 8 [dd]', DEV, 'Q', 'WS', 0, 4096, 0],
    ['  8,17   D   R 18446744073709551608 + 4294967295 [a b]', DEV, 'D', 'R', 2 ** 64, 4294967295 * 512, 0],
    ['  8,17   C  WS 8 + 16 [0]', DEV, 'C', 'WS', 8, 8192, 0],
    ['  8,17   C  WS 8 + 16 [65531]', DEV, 'C', 'WS', 8, 8192, -5],
    ['  8,17   R   W 8 + 16 [0]', DEV, 'R', 'W', 8, 8192, 0],
    ['  8,17   C  FN 0 [0]', DEV, 'C', 'FN', 0, 0, 0],
    ['  8,17   C FWS 123456 [65531]', DEV, 'C', 'FWS', 123456, 0, -5],
    ['  8,17   G FWFSM [kworker/0:1H]', DEV, 'G', 'FWFSM', 0, 0, 0],
    ['  8,17   P   N [dd]', DEV, 'P', 'N', 0, 0, 0],
    ['  8,17   U   N [dd] 1', DEV, 'U', 'N', 0, 0, 0],
    ['  8,17  UT   N [dd] 18446744073709551615', DEV, 'UT', 'N', 0, 0, 0],
    ['  8,17   X   W 100 / 108 [dd]', DEV, 'X', 'W', 100, 0, 0],
    ['  8,17   A  WS 5000 + 8 <- (8,18) 904', DEV, 'A', 'WS', 5000, 4096, 0],
    ['  8,17   D   N 36 (12 00 00 00 24 ..) [smartctl]', DEV, 'D', 'N', 0, 36, 0],
    ['  8,17   D   N 0 [smartctl]', DEV, 'D', 'N', 0, 0, 0],
    ['  8,17   C   N (12 00 00 00 24 ..) [0]', DEV, 'C', 'N', 0, 0, 0],
    ['  8,17   C   N [65531]', DEV, 'C', 'N', 0, 0, -5],
    ['  8,17   m   N cfq1A  / alloced: 8 + 8 [x', DEV, 'm', 'N', 0, 0, 0],
    ['254,0    Q  WS 8 + 8 [dd]', 254 * 2 ** 20, 'Q', 'WS', 8, 4096, 0],
    ['  8,17  1a2,0  Q  WS 8 + 8 [dd]', DEV, 'Q', 'WS', 8, 4096, 0],
    ['  8,17  /user.slice/a-1,2  Q  WS 8 + 8 [dd]', DEV, 'Q', 'WS', 8, 4096, 0],
    ['  8,17  queue  WS 8 + 8 [dd]', DEV, 'queue', 'WS', 8, 4096, 0],
    ['  8,17  unplug_timer   N [dd] 3', DEV, 'unplug_timer', 'N', 0, 0, 0],
  ];
  for (const [text, ...values] of lines) it(text, () => assert.deepEqual(read(text), values));

  it('may name tasks of any bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc
            .array(fc.integer({ min: 1, max: 255 }), { maxLength: 15 })
            .map((bytes) => Buffer.from(bytes).toString('latin1')),
          fc.constantFrom(']\n', '] 1\n', '[]', '\n\n\n', 'a]\n[b', '] 18446744'),
        ),
        (comm) => {
          for (const text of [
            `Q  WS 8 + 8 [${comm}]`,
            `P   N [${comm}]`,
            `U   N [${comm}] 3`,
            `X   W 1 / 2 [${comm}]`,
          ]) {
            read(`  8,17   ${text}`);
          }
        },
      ),
    );
  });

  it('lose only themselves if they make no sense', () => {
    for (const text of [
      '8,',
      '8,17',
      '8,17 Q',
      '8,17 Q W',
      '8,17 Q W 8 +',
      '8,17 C WS 8 + 8 [x]',
      '8,17 3 W 8 + 8 [a]',
      'Unknown action 7',
    ]) {
      const { calls, decoder } = decodeText(lineOf(text) + lineOf('  8,17   P   N [dd]'), [TYPE]);
      assert.equal(calls.length, 1, text);
      assert.equal(decoder.events(0), 2);
    }
  });

  for (const [kernel, events] of [
    ['6.1-rt', [55, 77]],
    ['6.12-rt', [131, 0]],
    ['7.3-rt', [89, 8]],
  ] as const) {
    it(`are all there in what ${kernel} prints: as many as it counts as read`, () => {
      const { calls, errors, decoder } = decodeText(fixture(`text/${kernel}.blk.txt`), [TYPE]);
      assert.deepEqual(errors, []);
      assert.deepEqual([decoder.events(0), decoder.events(1)], events);
      assert.equal(calls.length, events[0] + events[1]);
      const callsOf = (action: string) => calls.filter(({ fields }) => fields.action === action);
      const bytes = (action: string, rwbs: string) =>
        callsOf(action).reduce(
          (sum, { fields }) => sum + (fields.rwbs === rwbs ? Number(fields.nr_bytes) : 0),
          0,
        );
      assert.equal(bytes('C', 'WS'), bytes('D', 'WS'));
      assert.equal(bytes('C', 'RS'), 5 * 65536);
      // The bio that asked for the flush also completes, without data and without an issue.
      assert.equal(callsOf('C').length, callsOf('D').length + 1);
    });
  }
});
