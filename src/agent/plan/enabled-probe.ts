import type { Containers } from '../../model/containers.ts';
import type { IntervalSinks } from '../../model/intervals.ts';
import type { CommonOptions, ProbeModule } from '../../probes/probe.ts';

/** A probe and its options from the config. */
export interface EnabledProbe {
  module: ProbeModule;
  options: CommonOptions;
  /** Why the probe is on, if not for its metrics. It then has no metrics and only reports single operations. */
  onlyFor?: string;
  /** The container table, if the probe has series by container. */
  containers?: Containers | undefined;
  /** Receivers of single operations. If absent, nothing receives them. */
  intervals?: IntervalSinks;
}
