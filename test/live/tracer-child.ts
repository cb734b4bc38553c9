/**
 * Child process of tests: turns a tracer on and off, at the top level if necessary, again and again until it is killed.
 * Its argument is a `ChildTask` as JSON. Prints `begins` before the first cycle and `once` after each.
 */
import type { TracerRequest } from '../../src/model/tracer.ts';
import { createInstance, type Instance, tracerInstanceName } from '../../src/tracefs/instance.ts';
import { openJournal } from '../../src/tracefs/journal/journal.ts';
import { takeTopLevel } from '../../src/tracefs/top-level.ts';
import { instanceTracers, offeredTracers, placeOf, startTracer } from '../../src/tracefs/tracers.ts';

export interface ChildTask {
  root: string;
  stateDir: string;
  name: string;
  request: TracerRequest;
  /** Trace only functions that match these globs, because an emulated machine stands still if all are traced. */
  armed?: readonly string[];
}

const { root, stateDir, name, request, armed } = JSON.parse(process.argv[2]) as ChildTask;
const { tracer } = request;
const held = createInstance(root, name);
const journal = openJournal({ stateDir, name, root });
const answer = placeOf(request, offeredTracers(root), instanceTracers(held.dir));
if ('refused' in answer) throw new Error(answer.refused);
console.log('begins');
for (;;) {
  const target =
    answer.place === 'top'
      ? takeTopLevel(root, journal, tracer)
      : createInstance(root, tracerInstanceName(name, tracer));
  target.prepare({ bufferBytesPerCpu: 1 << 19, subbufferBytes: 4096, clock: 'mono' });
  const problems = [...turnOnAndOff(target), ...target.remove(), ...journal.restore().problems];
  if (problems.length > 0) throw new Error(problems.join('\n'));
  console.log('once');
}

function turnOnAndOff(target: Instance): string[] {
  if (armed !== undefined) target.add('set_ftrace_filter', armed);
  const started = startTracer(target, request, journal);
  const pages = request.reads === 'events' ? target.openPages() : undefined;
  target.start();
  target.stop();
  pages?.close();
  return started.stop().problems;
}
