/** Kernel: memory, network, locks, file systems, deferred work, timers and idle CPUs, for the probes that are on. */
import { type Board, CLUSTER, ONE_NODE, type Row } from './board.ts';
import { type AnyPanel, CHOSEN, heatmap, lines, quantile, SECONDS_PER_SECOND } from './panels.ts';

/** Events per second, by labels. */
function rates(needs: string, title: string, description: string, metric: string, ...by: string[]): AnyPanel {
  const expr = `sum by (${by.join(', ')}) (rate(${metric}{${CHOSEN}}[$__rate_interval]))`;
  const legend = by.length === 0 ? title : by.map((label) => `{{${label}}}`).join(' ');
  return lines({ title, description, needs, unit: 'ops', queries: [{ expr, legend }] });
}

/** Growth of a counter of seconds, in seconds per second, by labels. */
function shares(
  needs: string,
  title: string,
  description: string,
  metric: string,
  ...by: string[]
): AnyPanel {
  const expr = `sum by (${by.join(', ')}) (rate(${metric}{${CHOSEN}}[$__rate_interval]))`;
  const legend = by.map((label) => `{{${label}}}`).join(' ');
  return lines({ title, description, needs, unit: SECONDS_PER_SECOND, queries: [{ expr, legend }] });
}

function heat(needs: string, title: string, description: string, metric: string): AnyPanel {
  return heatmap({ title, description, needs, unit: 's', metric, selector: CHOSEN });
}

function p99(needs: string, title: string, description: string, metric: string, ...by: string[]): AnyPanel {
  const legend = by.map((label) => `{{${label}}}`).join(' ');
  return lines({
    title,
    description,
    needs,
    unit: 's',
    log: true,
    queries: [{ expr: quantile(0.99, metric, CHOSEN, ...by), legend }],
  });
}

const rows: readonly Row[] = [
  {
    title: 'Memory (probe memory)',
    panels: [
      heat(
        'memory',
        'Reclaim',
        'How long tasks reclaimed memory, of all kinds.',
        'ftrace_memory_reclaim_seconds',
      ),
      shares(
        'memory',
        'Time in reclaim',
        'Time that tasks reclaimed memory, per second, by kind.',
        'ftrace_memory_reclaim_seconds_sum',
        'kind',
      ),
      p99(
        'memory',
        'Writers throttled, p99',
        'One in a hundred pauses of tasks with too many dirty pages is as long or longer.',
        'ftrace_memory_dirty_throttled_seconds',
        'device',
      ),
      rates(
        'memory',
        'OOM kills',
        'Tasks that the OOM killer chose, per second.',
        'ftrace_memory_oom_kills_total',
      ),
    ],
  },
  {
    title: 'Network (probe network)',
    panels: [
      rates(
        'network',
        'Retransmits',
        'TCP segments sent again per second.',
        'ftrace_tcp_retransmits_total',
        'state',
      ),
      rates(
        'network',
        'Packets dropped',
        'Packets dropped per second, by the reason that the kernel gives.',
        'ftrace_packet_drops_total',
        'reason',
      ),
      heat(
        'network',
        'TCP handshakes',
        'From the SYN of a client on this node to the established connection.',
        'ftrace_tcp_connect_seconds',
      ),
      rates(
        'network',
        'Resets sent',
        'TCP resets sent per second, by reason.',
        'ftrace_tcp_resets_sent_total',
        'reason',
      ),
    ],
  },
  {
    title: 'Locks and blocked tasks (probes locks, blocked)',
    panels: [
      p99(
        'locks',
        'Lock contention, p99',
        'One in a hundred waits for a contended lock is as long or longer.',
        'ftrace_lock_contention_seconds',
        'type',
      ),
      heat(
        'blocked',
        'Uninterruptible sleep',
        'How long tasks slept uninterruptibly (state D).',
        'ftrace_blocked_seconds',
      ),
    ],
  },
  {
    title: 'File systems and NVMe (probes filesystem, nvme)',
    panels: [
      p99(
        'filesystem',
        'fsync, p99',
        'One fsync in a hundred takes as long or longer.',
        'ftrace_fsync_seconds',
        'filesystem',
        'device',
      ),
      p99(
        'filesystem',
        'Journal commits, p99',
        'One commit of the journal in a hundred takes as long or longer.',
        'ftrace_journal_commit_seconds',
        'device',
      ),
      p99(
        'filesystem',
        'NFS requests, p99',
        'One request to an NFS server in a hundred takes as long or longer.',
        'ftrace_nfs_rpc_seconds',
        'procedure',
      ),
      p99(
        'nvme',
        'NVMe commands, p99',
        'One command in a hundred takes as long or longer.',
        'ftrace_nvme_command_seconds',
        'device',
        'opcode',
      ),
    ],
  },
  {
    title: 'Deferred work and timers (probes workqueue, timers)',
    panels: [
      heat(
        'workqueue',
        'Wait of work items',
        'From queueing a work item to its start.',
        'ftrace_workqueue_latency_seconds',
      ),
      p99(
        'timers',
        'Timers late, p99',
        'One timer in a hundred is as late or later.',
        'ftrace_timer_lateness_seconds',
        'kind',
      ),
    ],
  },
  {
    title: 'Isolated CPUs (probe isolation)',
    panels: [
      shares(
        'isolation',
        'Time taken',
        'Time per second for which an isolated CPU was interrupted, by source.',
        'ftrace_isolation_seconds_total',
        'cpu',
        'source',
      ),
      rates(
        'isolation',
        'Interruptions',
        'Interruptions per second of isolated CPUs.',
        'ftrace_isolation_interruptions_total',
        'cpu',
        'source',
        'name',
      ),
    ],
  },
  {
    title: 'Idle CPUs and guests (probes idle, kvm)',
    panels: [
      heat('idle', 'Idle periods', 'How long CPUs stayed idle at a time.', 'ftrace_idle_seconds'),
      p99(
        'kvm',
        'Exits of guests, p99',
        'One exit in a hundred keeps the virtual CPU out of its guest as long or longer.',
        'ftrace_kvm_exit_seconds',
        'reason',
      ),
    ],
  },
];

export const kernelBoard: Board = {
  uid: 'ftrace-kernel',
  title: 'ftrace / Kernel',
  description:
    'Memory, network, locks, file systems, deferred work, timers and idle CPUs, for the probes that are on.',
  choices: [CLUSTER, ONE_NODE],
  rows,
};
