/**
 * How long do operations of file systems take? XFS and Btrfs have no event for the end of an fsync. The kernel itself
 * measures RPCs, and their events contain the times.
 */

import { decimalBuckets } from '../config/units/buckets.ts';
import type { DeclaredMetric } from '../model/declared-metric.ts';
import { constant, declaredProbe, histogram, pair } from './declared/built-in.ts';

const RPC = 'sunrpc:rpc_stats_latency';
const OF_NFS = { event: RPC, where: 'progname ~ "nfs*"' };
const PROCEDURE = { labels: { procedure: 'procname' }, isNobodys: true };

function fsync(filesystem: string, events: string): DeclaredMetric {
  return pair(
    'ftrace_fsync_seconds',
    'Time that a file system took for one fsync.',
    `${events}_enter`,
    `${events}_exit`,
    {
      labels: { filesystem: constant(filesystem), device: { field: 'start.dev', as: 'device' } },
      isVariant: true,
    },
  );
}

export const filesystem = declaredProbe({
  name: 'filesystem',
  help: 'How long fsync, journal commits, NFS procedures and requests to FUSE programs take.',
  rate: 'low',
  ofTasks: true,
  buckets: decimalBuckets(1e-5, 10),
  metrics: [
    fsync('ext4', 'ext4:ext4_sync_file'),
    fsync('f2fs', 'f2fs:f2fs_sync_file'),
    fsync('nfs', 'nfs:nfs_fsync'),
    pair(
      'ftrace_journal_commit_seconds',
      'Time that a file system took to commit one transaction of its journal (jbd2).',
      'jbd2:jbd2_start_commit',
      'jbd2:jbd2_end_commit',
      { key: ['dev'], labels: { device: { field: 'start.dev', as: 'device' } } },
    ),
    histogram(
      'ftrace_nfs_rpc_seconds',
      'Time from when the NFS client sent a request until the server replied, by procedure.',
      OF_NFS,
      { field: 'rtt', unit: 'us' },
      PROCEDURE,
    ),
    histogram(
      'ftrace_nfs_rpc_queue_seconds',
      'Time a request waited in the NFS client before it was sent, by procedure.',
      OF_NFS,
      { field: 'backlog', unit: 'us' },
      PROCEDURE,
    ),
    histogram(
      'ftrace_nfsd_rpc_seconds',
      'Time the NFS server of this machine took to process a request, by procedure.',
      'sunrpc:svc_stats_latency',
      { field: 'execute', unit: 'us' },
      { labels: { procedure: 'procedure' }, isNobodys: true },
    ),
    pair(
      'ftrace_fuse_request_seconds',
      'Time from when the kernel sent a request to a FUSE program until the program replied, by opcode.',
      'fuse:fuse_request_send',
      'fuse:fuse_request_end',
      { key: ['connection', 'unique'], labels: { opcode: 'start.opcode' } },
    ),
  ],
});
