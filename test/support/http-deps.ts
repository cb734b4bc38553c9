/** Dependencies of the HTTP server for an idle agent: nothing to scrape, no traces, always ready. */
import type { HttpDeps } from '../../src/http/pages/deps.ts';

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export const idleDeps: HttpDeps = {
  telemetryPath: '/metrics',
  version: '1.2.3',
  constantLabels: {},
  scrape: async () => [],
  processMetrics: async () => [],
  status: () => Promise.reject(new Error('none')),
  latency: async () => undefined,
  reload: 'reloads over HTTP are off',
  ready: () => ({ ready: true, reason: '' }),
  alive: () => ({ alive: true, reason: '' }),
  source: () => 'live',
  log: quiet,
};
