/**
 * How long do virtual CPUs stay outside their guest? On x86, the field `isa` shows whether the exit reason is Intel's
 * or AMD's.
 */
import type { DeclaredLabel, DeclaredMetric } from '../model/declared-metric.ts';
import { declaredProbe, pair } from './declared/built-in.ts';

const EXIT = 'kvm:kvm_exit';
const [VMX, SVM] = [1, 2];

function exits(reason: Partial<DeclaredLabel>, where?: string): DeclaredMetric {
  return pair(
    'ftrace_kvm_exit_seconds',
    'Time a virtual CPU spent outside its guest, from one exit until the next entry, by exit reason.',
    where === undefined ? EXIT : { event: EXIT, where },
    'kvm:kvm_entry',
    { labels: { reason }, endsAlone: true, isVariant: true },
  );
}

export const kvm = declaredProbe({
  name: 'kvm',
  help: 'How long virtual CPUs are outside their guest, by exit reason.',
  rate: 'high',
  metrics: [
    exits({ field: 'start.exit_reason' }, `isa == ${VMX}`),
    exits({ field: 'start.exit_reason', nth: 1 }, `isa == ${SVM}`),
    exits({ field: 'start.esr_ec' }),
  ],
});
