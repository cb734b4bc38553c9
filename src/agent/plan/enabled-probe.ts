import type { Containers } from '../../model/containers.ts';
import type { IntervalSinks } from '../../model/intervals.ts';
import type { CommonOptions, ProbeModule } from '../../probes/probe.ts';

/** A probe and its options from the config. */
export interface EnabledProbe {
  module: ProbeModule;
  options: CommonOptions;
  /** Purpose of a helper probe, which has no metrics: `spans` or `containers`. Absent for other probes. */
  onlyFor?: string;
  /** The container table, if the probe has series by container. */
  containers?: Containers | undefined;
  /** Receivers of single operations. If absent, the probe reports only metrics. */
  intervals?: IntervalSinks;
}
