/** Refuses to start a tracer if the tracer and another user of ftrace would disturb each other. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import type { TracerRequest } from '../model/tracer.ts';
import { tryReadText } from './files.ts';
import type { Instance } from './instance.ts';
import { listLines } from './journal/control-forms.ts';
import { isTopLevelOwner } from './journal/owners.ts';
import { bootId, type JournalEntry, loadEntries } from './journal/state.ts';
import type { JournalPlace } from './journal/store.ts';
import { tracingDirs } from './others.ts';
import { groupOf, traitsOf } from './tracer-traits.ts';

const GRAPH_LISTS = ['set_graph_function', 'set_graph_notrace'];

/** Throws a `KernelError` (EBUSY) if there is a conflict. Call this before writing any file. */
export function refuseWhatIsInUse(target: Instance, request: TracerRequest, place: JournalPlace): void {
  const { root } = target;
  const { tracer } = request;
  const others = otherTracers(root, target.dir);
  const refuse = (file: string, why: string) => {
    throw new KernelError({ file, errno: 'EBUSY', action: `run tracer ${tracer} because of`, remedy: why });
  };
  const traits = traitsOf(tracer);
  const rivals = groupOf(tracer);
  for (const other of others)
    if (rivals.includes(other.tracer))
      refuse(
        other.dir,
        `tracer ${other.tracer} runs there, and the kernel runs only one of ${rivals.join(', ')} at a time: stop one of the two`,
      );

  if (traits.hasOsnoiseOptions) refuseOptions(root, refuse);
  if (traits.obeysThreshold || (traits.takesThreshold && !setsThreshold(request))) {
    const threshold = tryReadText(join(root, 'tracing_thresh'))?.trim() ?? '0';
    if (threshold !== '0')
      refuse(
        join(root, 'tracing_thresh'),
        `it is ${threshold} us, and shorter operations would not be recorded: write 0 to it, or stop the tracer that needs it`,
      );
  }
  if (setsThreshold(request)) {
    const hidden = others.find((other) => traitsOf(other.tracer).obeysThreshold);
    if (hidden !== undefined)
      refuse(
        hidden.dir,
        `tracer ${hidden.tracer} runs there, and ${tracer} would change tracing_thresh for both: stop one of the two`,
      );
  }
  if (traits.isGraph) refuseGraphLimits(target, request, others, refuse);
  refuseJournaled(target, request, place, refuse);
}

/** Options of osnoise that disable interrupts or preemption, cause a kernel panic, or suppress the tracer's threads. */
const HARMFUL = ['OSNOISE_IRQ_DISABLE', 'OSNOISE_PREEMPT_DISABLE', 'PANIC_ON_STOP', 'NO_OSNOISE_WORKLOAD'];

function refuseOptions(root: string, refuse: (file: string, why: string) => void): void {
  const file = join(root, 'osnoise/options');
  const set = (tryReadText(file) ?? '').split(/\s+/).filter((word) => HARMFUL.includes(word));
  if (set.length > 0)
    refuse(file, `another user has set ${set.join(', ')} for all instances: write DEFAULTS to it`);
}

interface OtherTracer {
  dir: string;
  tracer: string;
}

/** Returns the tracers that run at the top level and in instances, except in the directory `own`. */
function otherTracers(root: string, own: string): OtherTracer[] {
  return tracingDirs(root)
    .filter((dir) => dir !== own)
    .map((dir) => ({ dir, tracer: tryReadText(join(dir, 'current_tracer'))?.trim() ?? 'nop' }))
    .filter(({ tracer }) => tracer !== 'nop');
}

function setsThreshold({ tracer, knobs }: TracerRequest): boolean {
  const isKnob = knobs.some(({ file, value }) => file === 'tracing_thresh' && value !== '0');
  return isKnob || traitsOf(tracer).setsThreshold === true;
}

/** All instances share the depth and the function lists of graph tracers. Only depth 1 works without them. */
function refuseGraphLimits(
  target: Instance,
  { functions }: TracerRequest,
  others: readonly OtherTracer[],
  refuse: (file: string, why: string) => void,
): void {
  const { root } = target;
  const depth = tryReadText(join(root, 'max_graph_depth'))?.trim() ?? '0';
  if (depth !== '0')
    refuse(
      join(root, 'max_graph_depth'),
      `another user has set it to ${depth} for all instances: write 0 to it`,
    );
  for (const file of GRAPH_LISTS)
    if (listLines(tryReadText(join(root, file)) ?? '').length > 0)
      refuse(join(root, file), 'another user has set it for all instances: empty the file');
  const other = others.find(({ tracer }) => traitsOf(tracer).isGraph);
  if (other !== undefined && functions !== undefined && functions.maxDepth !== 1)
    refuse(
      other.dir,
      `${other.tracer} runs there, and all instances share the depth and the graph functions: set max_depth to 1`,
    );
}

/** Refuses the tracer if another agent's journal lists a file that this tracer needs. */
function refuseJournaled(
  target: Instance,
  { tracer, knobs, functions }: TracerRequest,
  { stateDir, name }: JournalPlace,
  refuse: (file: string, why: string) => void,
): void {
  const shared = new Set(knobs.map(({ file }) => file));
  const { setsThreshold, isGraph } = traitsOf(tracer);
  if (setsThreshold) shared.add('tracing_thresh');
  if (isGraph && functions?.maxDepth !== 1)
    for (const file of ['max_graph_depth', ...GRAPH_LISTS]) shared.add(file);
  if (target.dir === target.root) shared.add('current_tracer');
  for (const { agent, entries } of journalsOfOthers(stateDir, name)) {
    const entry = entries.find(({ file }) => shared.has(file));
    if (entry !== undefined)
      refuse(join(target.root, entry.file), `agent ${agent} has set it: ${undoing(agent)}`);
  }
}

const undoing = (agent: string) =>
  `stop that agent or, if it was killed, run \`ftrace-exporter cleanup --instance ${agent}\``;

/** Describes another agent whose journal contains entries for the top level. Undefined if there is none. */
export function otherTopLevelAgent({ stateDir, name }: JournalPlace): string | undefined {
  for (const { agent, entries } of journalsOfOthers(stateDir, name)) {
    const entry = entries.find(({ owners }) => owners.some(isTopLevelOwner));
    if (entry !== undefined) return `agent ${agent} has changed ${entry.file} there: ${undoing(agent)}`;
  }
  return undefined;
}

/** Skips an unreadable journal, because the agent that owns the journal reports the error. */
function journalsOfOthers(stateDir: string, name: string): { agent: string; entries: JournalEntry[] }[] {
  let states: string[];
  try {
    states = readdirSync(stateDir).filter((file) => file.endsWith('.journal.json'));
  } catch {
    return [];
  }
  return states.flatMap((file) => {
    const agent = basename(file, '.journal.json');
    if (agent === name) return [];
    try {
      return [{ agent, entries: loadEntries(join(stateDir, file), bootId()) }];
    } catch {
      return [];
    }
  });
}
