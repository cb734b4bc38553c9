/**
 * Child of journal.test.ts: `ROOT STATE_DIR NAME DISK` takes the top level for block tracing of a disk and gives it up
 * again, over and over, until it is killed. Says a word before the first time and after each.
 */
import { createInstance } from '../../src/tracefs/instance.ts';
import { openJournal } from '../../src/tracefs/journal.ts';
import { takeTopLevel } from '../../src/tracefs/top-level.ts';
import { startTracer } from '../../src/tracefs/tracers.ts';

const [root, stateDir, name, disk] = process.argv.slice(2);
const held = createInstance(root, name);
const journal = openJournal({ stateDir, name, root });
console.log('begins');
for (;;) {
  const top = takeTopLevel(root, journal, 'blk');
  top.prepare({ bufferBytesPerCpu: 1 << 20, subbufferBytes: 4096, clock: 'mono' });
  const request = {
    tracer: 'blk',
    where: 'top',
    reads: 'text',
    options: {},
    knobs: [{ file: 'tracing_thresh', value: '7', optional: true }],
    cpumask: [0],
    blockDevices: [disk],
  } as const;
  const started = startTracer(top, request, journal);
  top.start();
  top.stop();
  const problems = [...started.stop().problems, ...top.remove()];
  if (problems.length > 0) throw new Error(problems.join('\n'));
  if (held.state().recording === undefined) break;
  console.log('once');
}
