/**
 * A task's name can contain any bytes, including newlines and text that looks like the rest of a line. The reader must
 * still find the fields after the name.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeText, lineOf, typeOf } from './support.ts';

/** The newer kernel prints more after the name of a task that ends, and stores one of the names in another way. */
const KERNELS = ['5.10-rt', '7.3-rt'];
const typesOf = (kernel: string) =>
  (
    [
      ['sched:sched_switch', ['prev_comm', 'prev_pid', 'prev_state', 'next_comm', 'next_pid']],
      ['sched:sched_wakeup', ['comm', 'pid', 'target_cpu']],
      ['sched:sched_process_exit', ['comm', 'pid']],
      ['sched:sched_migrate_task', ['pid']],
    ] as const
  ).map(([event, fields]) => typeOf(`text/formats-${kernel}`, event, fields));

/** Misleading texts: the literals of print fmts, and pieces of lines. */
const BAIT = [
  ' prev_pid=1',
  ' pid=5 prio=9',
  ' pid=5 prio=9\n',
  ' ==> next_comm=',
  '\n',
  '\n\n',
  '\nCPU:0 [LOST 1 ',
  '# tracer: nop',
  '-1   [000] ',
  ' prio=',
  '] (',
  '=> x',
  ' next_pid=3 next',
  '',
];
const comm = fc
  .oneof(
    fc
      .array(fc.integer({ min: 1, max: 255 }), { maxLength: 15 })
      .map((bytes) => Buffer.from(bytes).toString('latin1')),
    fc.tuple(fc.constantFrom(...BAIT), fc.constantFrom(...BAIT)).map(([a, b]) => a + b),
    fc.constantFrom(...BAIT),
  )
  .map((name) => name.slice(0, 15));
const pid = fc.integer({ min: 1, max: 4_194_304 });

for (const kernel of KERNELS) {
  describe(`names of tasks in text of ${kernel}`, () => {
    const types = typesOf(kernel);
    const groupDead = types[2].format.printFmt.includes('group_dead') ? ' group_dead=false' : '';

    it('mislead neither in the front part nor in the text, and lose no other line', () => {
      fc.assert(
        fc.property(
          comm,
          comm,
          comm,
          pid,
          pid,
          fc.integer({ min: -1, max: 139 }),
          (who, prev, next, a, b, prio) => {
            const text = [
              lineOf(
                `sched_switch: prev_comm=${prev} prev_pid=${a} prev_prio=${prio} prev_state=S ==> next_comm=${next} next_pid=${b} next_prio=120`,
                { comm: who, pid: a },
              ),
              lineOf(`sched_wakeup: comm=${prev} pid=${b} prio=${prio} target_cpu=001`, {
                comm: who,
                pid: b,
              }),
              lineOf(`sched_process_exit: comm=${next} pid=${a} prio=${prio}${groupDead}`, {
                comm: who,
                pid: a,
              }),
              lineOf(`sched_migrate_task: comm=${prev} pid=${b} prio=${prio} orig_cpu=0 dest_cpu=1`, {
                comm: who,
                pid: a,
              }),
              lineOf('sched_wakeup: comm=last pid=99 prio=1 target_cpu=000'),
            ].join('');
            const { calls, errors } = decodeText(text, types);
            assert.deepEqual(errors, []);
            assert.deepEqual(
              calls.map((call) => [call.event, call.pid, call.fields]),
              [
                [
                  'sched:sched_switch',
                  a,
                  { prev_comm: prev, prev_pid: a, prev_state: 1, next_comm: next, next_pid: b },
                ],
                ['sched:sched_wakeup', b, { comm: prev, pid: b, target_cpu: 1 }],
                ['sched:sched_process_exit', a, { comm: next, pid: a }],
                ['sched:sched_migrate_task', a, { pid: b }],
                ['sched:sched_wakeup', 7, { comm: 'last', pid: 99, target_cpu: 0 }],
              ],
            );
          },
        ),
        {
          numRuns: 2000,
          examples: [
            ['-1   [000]  pre', '', ' pid=5 prio=9\n', 1, 1, 10],
            ['-1       [000] ', '', ' pid=5 prio=9\n', 1, 1, 10],
          ],
        },
      );
    });
  });
}
