/** Agent health: what the agent reads, loses and cannot decode, how full its buffers are, and what it costs. */
import { type Board, CLUSTER, ONE_NODE } from './board.ts';
import { CHOSEN, heatmap, lines, type Query, SHOULD_BE_ONE, SHOULD_BE_ZERO } from './panels.ts';

const JOB = `job="ftrace-exporter",${CHOSEN}`;
const rateBy = (labels: string, metric: string, legend: string): Query => ({
  expr: `sum by (${labels}) (rate(${metric}{${CHOSEN}}[$__rate_interval]))`,
  legend,
});

export const agentBoard: Board = {
  uid: 'ftrace-agent',
  title: 'ftrace / Agent health',
  description: 'What agents read, lose and cannot decode, how full their buffers are, and what they cost.',
  choices: [CLUSTER, ONE_NODE],
  rows: [
    {
      title: 'Events',
      panels: [
        lines({
          title: 'Events read',
          description: 'Events read and decoded per second, by profile and buffer.',
          unit: 'eps',
          queries: [
            {
              expr: `sum by (profile, buffer) (rate(ftrace_exporter_events_read_total{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{profile}} {{buffer}}',
            },
          ],
        }),
        lines({
          title: 'Events lost',
          levels: SHOULD_BE_ZERO,
          description:
            'Events lost per second, by reason: the agent did not read in time, or another program took, cleared or paused them. Should be 0.',
          unit: 'eps',
          queries: [
            rateBy(
              'profile, buffer, reason',
              'ftrace_exporter_events_lost_total',
              '{{profile}} {{buffer}} {{reason}}',
            ),
          ],
        }),
        lines({
          title: 'Fill of the buffers',
          levels: { warning: 0.5, bad: 0.9 },
          description: 'Share of a kernel buffer that held unread events when it was read: the fullest CPU.',
          unit: 'percentunit',
          max: 1,
          queries: [
            {
              expr: `max by (profile, buffer) (ftrace_exporter_buffer_fill_ratio{${CHOSEN}})`,
              legend: '{{profile}} {{buffer}}',
            },
          ],
        }),
        lines({
          title: 'Bytes read',
          description: 'Bytes of events read per second.',
          unit: 'Bps',
          queries: [rateBy('profile, buffer', 'ftrace_exporter_read_bytes_total', '{{profile}} {{buffer}}')],
        }),
        lines({
          title: 'Decode errors',
          levels: SHOULD_BE_ZERO,
          description: 'Pages or events per second that could not be decoded. Should be 0.',
          unit: 'ops',
          queries: [
            rateBy('profile, reason', 'ftrace_exporter_decode_errors_total', '{{profile}} {{reason}}'),
          ],
        }),
        lines({
          title: 'Unmatched and late',
          description:
            'Starts without an end and ends without a start, by probe and reason; and events that were read after younger ones.',
          unit: 'ops',
          queries: [
            rateBy('probe, reason', 'ftrace_exporter_unmatched_total', '{{probe}} {{reason}}'),
            rateBy('profile', 'ftrace_exporter_late_events_total', 'late events {{profile}}'),
            rateBy('reason', 'ftrace_exporter_events_ignored_total', 'ignored: {{reason}}'),
          ],
        }),
      ],
    },
    {
      title: 'Work',
      panels: [
        heatmap({
          title: 'Drain ticks',
          description: 'Time to read, decode and aggregate all buffers once.',
          unit: 's',
          metric: 'ftrace_exporter_drain_duration_seconds',
          selector: CHOSEN,
        }),
        lines({
          title: 'Ready, probes up',
          levels: SHOULD_BE_ONE,
          description:
            'ready is 1 while the agent gets all events that it asked for. A probe is 1 if it gets its events, and 0 if it is switched on but gets none; /api/v1/status and doctor say why.',
          unit: 'short',
          max: 1,
          queries: [
            {
              expr: `min by (probe) (ftrace_exporter_probe_up{${CHOSEN}})`,
              legend: '{{probe}}',
            },
            { expr: `min(ftrace_exporter_ready{${CHOSEN}})`, legend: 'ready' },
          ],
        }),
        lines({
          title: 'CPU',
          levels: { bad: 0.25 },
          isLevelInView: true,
          description: 'Share of one core, system and user.',
          unit: 'percentunit',
          queries: [
            {
              expr: `sum by (profile) (rate(process_cpu_seconds_total{${JOB}}[$__rate_interval]))`,
              legend: 'agent {{profile}}',
            },
          ],
        }),
        lines({
          title: 'CPU by part',
          description:
            'What the CPU time of the agent goes into, and the estimated time that the kernel takes to record its events, which the traced tasks pay.',
          unit: 'percentunit',
          queries: [
            rateBy('part', 'ftrace_exporter_cpu_seconds_total', '{{part}}'),
            {
              expr: `sum(rate(ftrace_exporter_recording_cpu_seconds_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'recording (estimate)',
            },
          ],
        }),
        lines({
          title: 'Events by probe',
          description:
            'Events per second that each probe was given. An event that several read counts for each.',
          unit: 'eps',
          queries: [rateBy('probe', 'ftrace_exporter_probe_events_total', '{{probe}}')],
        }),
        lines({
          title: 'Suspended probes',
          levels: SHOULD_BE_ZERO,
          needs: { words: 'No data: needs budget.cpu in the agent’s config' },
          description:
            'Share of the time for which the agent suspended a probe to keep its CPU budget. Should be 0.',
          unit: 'percentunit',
          max: 1,
          queries: [rateBy('probe', 'ftrace_exporter_probe_suspended_seconds_total', '{{probe}}')],
        }),
        lines({
          title: 'CPU per event',
          description:
            'CPU time of the agent divided by events read. With few events the fixed cost dominates.',
          unit: 's',
          log: true,
          queries: [
            {
              expr: `sum by (profile) (rate(process_cpu_seconds_total{${JOB}}[$__rate_interval])) / (sum by (profile) (rate(ftrace_exporter_events_read_total{${CHOSEN}}[$__rate_interval])) > 0)`,
              legend: 'agent {{profile}}',
            },
          ],
        }),
        lines({
          title: 'Memory',
          levels: { bad: 256 * 1024 * 1024 },
          isLevelInView: true,
          description: 'Resident memory of the process, without kernel buffers.',
          unit: 'bytes',
          queries: [
            {
              expr: `sum by (profile) (process_resident_memory_bytes{${JOB}})`,
              legend: 'agent {{profile}}',
            },
          ],
        }),
        lines({
          title: 'Restarts of the capture',
          description: 'Number of restarts of the capture thread after a failure. Should not change.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (profile) (ftrace_exporter_capture_restarts_total{${CHOSEN}})`,
              legend: 'agent {{profile}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Traces of slow operations (spans.kinds)',
      panels: [
        lines({
          title: 'Traces',
          needs: { words: 'No data: needs spans.kinds in the agent’s config' },
          description:
            'Slow operations per second (at least as long as the threshold of their kind), by what happened to their trace. over_budget: no trace was made.',
          unit: 'ops',
          queries: [rateBy('kind, outcome', 'ftrace_exporter_traces_total', '{{kind}} {{outcome}}')],
        }),
        lines({
          title: 'Spans',
          needs: { words: 'No data: needs spans.kinds in the agent’s config' },
          description: 'Spans of these traces per second. pruned: left out of a trace.',
          unit: 'ops',
          queries: [rateBy('kind, outcome', 'ftrace_exporter_spans_total', '{{kind}} {{outcome}}')],
        }),
      ],
    },
    {
      title: 'Output',
      panels: [
        lines({
          title: 'Series by metric',
          description: 'Number of series, where a histogram counts once; the ten metrics with the most.',
          unit: 'short',
          queries: [
            { expr: `topk(10, sum by (metric) (ftrace_exporter_series{${CHOSEN}}))`, legend: '{{metric}}' },
          ],
        }),
        lines({
          title: 'Samples per scrape',
          description: 'Samples that Prometheus scraped from each agent.',
          unit: 'short',
          queries: [
            { expr: `sum by (profile) (scrape_samples_scraped{${JOB}})`, legend: 'agent {{profile}}' },
          ],
        }),
        lines({
          title: 'Label values that went to “other”',
          levels: SHOULD_BE_ZERO,
          needs: { words: 'None so far' },
          description: 'The metric already has max_series. Raise the limit, or select less.',
          unit: 'ops',
          queries: [
            rateBy('profile, metric', 'ftrace_exporter_series_overflow_total', '{{profile}} {{metric}}'),
          ],
        }),
        lines({
          title: 'Clients refused',
          needs: { words: 'None so far' },
          description: 'Refused clients, by reason. A reason appears when it first happens.',
          unit: 'ops',
          queries: [
            rateBy('profile, reason', 'ftrace_exporter_http_refused_total', '{{profile}} {{reason}}'),
          ],
        }),
        lines({
          title: 'OTLP requests',
          needs: { words: 'No data: needs otlp in the agent’s config' },
          description: 'Requests to the OTLP backend, if one is configured, and points that it rejected.',
          unit: 'ops',
          queries: [
            rateBy(
              'profile, signal, outcome',
              'ftrace_exporter_otlp_exports_total',
              '{{profile}} {{signal}} {{outcome}}',
            ),
            rateBy(
              'profile, signal',
              'ftrace_exporter_otlp_rejected_total',
              '{{profile}} {{signal}} rejected points',
            ),
          ],
        }),
        lines({
          title: 'Markers of programs',
          needs: { words: 'No data: needs spans.kinds in the agent’s config' },
          description: 'Markers with which programs report where their spans begin and end, by outcome.',
          unit: 'ops',
          queries: [rateBy('outcome', 'ftrace_exporter_markers_total', '{{outcome}}')],
        }),
      ],
    },
  ],
};
