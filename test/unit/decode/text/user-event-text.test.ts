/** Lines of events that programs define, as 6.12 prints them: numbers, bytes with and without a character, strings. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textProblem } from '../../../../src/decode/text/line-types.ts';
import { decodeText, lineOf, parsed } from './support.ts';

/** From 6.12, registered as `lab_hit u8 flag;u32 kind;u64 bytes;char[8] place`. */
const FORMAT = `name: lab_hit
ID: 1326
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:u8 flag;	offset:8;	size:1;	signed:0;
	field:u32 kind;	offset:9;	size:4;	signed:0;
	field:u64 bytes;	offset:13;	size:8;	signed:0;
	field:char place[];	offset:21;	size:8;	signed:1;

print fmt: "flag=%u kind=%u bytes=%llu place=%s", REC->flag, REC->kind, REC->bytes, REC->place
`;
const EVENT = 'user_events:lab_hit';
const type = (fields: string[]) => ({ event: EVENT, format: parsed('user_events', FORMAT), fields });
const LINES = [
  'flag=(7) kind=0x3 (3) bytes=0x0 (0) place=here',
  `flag='A'(65) kind=0xffffffff (-1) bytes=0xee6b2800 (4000000000) place=there`,
  `flag='('(40) kind=0x0 (0) bytes=0xffffffffffffffff (-1) place=`,
];
const text = LINES.map((line) => lineOf(`lab_hit: ${line}`)).join('');

test('all fields are those that the program wrote', () => {
  const fields = ['flag', 'kind', 'bytes', 'place'];
  assert.equal(textProblem(type(fields)), undefined);
  const { calls, errors } = decodeText(text, [type(fields)]);
  assert.deepEqual(errors, []);
  assert.deepEqual(
    calls.map((call) => call.fields),
    [
      { flag: 7, kind: 3, bytes: 0, place: 'here' },
      { flag: 65, kind: 0xffffffff, bytes: 4_000_000_000, place: 'there' },
      { flag: 40, kind: 0, bytes: 2 ** 64, place: '' },
    ],
  );
});

test('they count without fields, too', () => {
  const { calls, errors } = decodeText(text, [type([])]);
  assert.deepEqual([calls.length, errors], [3, []]);
});
