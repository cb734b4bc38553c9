import type { Containers } from '../../model/containers.ts';
import type { IntervalSinks } from '../../model/intervals.ts';
import type { CommonOptions, ProbeModule } from '../../probes/probe.ts';

export interface EnabledProbe {
  module: ProbeModule;
  options: CommonOptions;
  /** Purpose of a helper probe (a probe without metrics): `spans` or `containers`. Absent for other probes. */
  onlyFor?: string;
  /** Absent if the probe has no series by container. */
  containers?: Containers | undefined;
  /** Sinks to which the probe reports single operations, for traces. If absent, the probe reports only metrics. */
  intervals?: IntervalSinks;
}
