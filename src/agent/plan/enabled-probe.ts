import type { IntervalSinks } from '../../model/intervals.ts';
import type { CommonOptions, ProbeModule } from '../../probes/probe.ts';

/** A probe and its options from the config. */
export interface EnabledProbe {
  module: ProbeModule;
  options: CommonOptions;
  /** Why the probe is on, if not for its metrics. It then has no metrics and only reports single operations. */
  onlyFor?: string;
  /** Receivers of single operations. If absent, nothing receives them. */
  intervals?: IntervalSinks;
}
