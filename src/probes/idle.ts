/** How long are CPUs idle, and how often does the kernel choose a wrong idle state? */
import { counter, declaredProbe, pair } from './declared/built-in.ts';

const IDLE = 'power:cpu_idle';
/** `state` when a CPU wakes up: PWR_EVENT_EXIT, -1 as an unsigned number. */
const AWAKE = 4294967295;

export const idle = declaredProbe({
  name: 'idle',
  help: 'How long CPUs stay in each idle state, and how often the state was too deep or too shallow.',
  rate: 'low',
  metrics: [
    pair(
      'ftrace_idle_seconds',
      'Time a CPU stayed in an idle state before it woke up, by the number of the state.',
      { event: IDLE, where: `state != ${AWAKE}` },
      { event: IDLE, where: `state == ${AWAKE}` },
      { key: ['cpu'], labels: { state: { field: 'start.state', as: 'number' } } },
    ),
    counter(
      'ftrace_idle_misses_total',
      'Times a CPU entered an idle state that was too deep or too shallow.',
      'power:cpu_idle_miss',
      {
        labels: { kind: { field: 'below', as: 'map', map: { 0: 'too_deep', 1: 'too_shallow' } } },
        isNobodys: true,
      },
    ),
  ],
});
