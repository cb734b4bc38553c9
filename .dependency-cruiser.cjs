// The room rules of docs/architecture.md: default deny, type-only imports count, no cycles.
// One line a room: what it may import besides itself. Everything not allowed here is an error.
const rooms = {
  model: [],
  config: ['model'],
  tracefs: ['model'],
  host: ['model'],
  decode: ['model'],
  tracedat: ['model', 'decode'],
  tracetext: ['model', 'decode', 'tracedat/file-io'],
  metrics: ['model'],
  probes: ['model', 'metrics', 'config/units', 'decode'],
  spans: ['model'],
  history: ['model'],
  page: ['model'],
  export: ['model'],
  http: ['model', 'config', 'export', 'history'],
  agent: [
    'model',
    'config',
    'tracefs',
    'host',
    'decode',
    'tracedat',
    'tracetext',
    'metrics',
    'probes',
    'spans',
    'history',
    'export',
  ],
  cli: [
    'model',
    'config',
    'tracefs',
    'host',
    'decode',
    'tracedat',
    'tracetext',
    'metrics',
    'probes',
    'spans',
    'history',
    'export',
    'http',
    // Pure modules: what a page and a terminal show alike.
    'page/buckets',
    'page/format',
    'page/names',
    'page/top-labels',
    'agent',
  ],
};

// The rooms within a room: what each may import of its own room, besides itself.
const innerRooms = {
  'agent/contract': [],
  'agent/plan': ['agent/contract'],
  'agent/stream': ['agent/plan'],
  'agent/slow': ['agent/plan', 'agent/stream'],
  'agent/live': ['agent/contract', 'agent/plan', 'agent/stream', 'agent/slow'],
  'agent/replay': ['agent/contract', 'agent/plan', 'agent/stream'],
  'agent/record': ['agent/plan', 'agent/live'],
  'agent/doctor': ['agent/plan', 'agent/stream', 'agent/slow', 'agent/live'],
  'agent/main': ['agent/contract', 'agent/slow'],
  'export/exposition': ['export/[^/]+\\.ts'],
  'export/otlp': ['export/[^/]+\\.ts'],
  'http/server': [],
  'http/pages': ['http/server'],
  'probes/tables': [],
  'probes/names': ['probes/probe'],
  'probes/options': ['probes/probe'],
  'probes/helpers': ['probes/probe', 'probes/tables', 'probes/names'],
  'tracefs/journal': ['tracefs/[^/]+\\.ts'],
};

// Libraries by room: a library that is named nowhere may be imported nowhere.
const libraries = {
  config: ['zod', 'yaml'],
  probes: ['zod'],
  export: [
    'prom-client',
    '@opentelemetry/api',
    '@opentelemetry/core',
    '@opentelemetry/otlp-exporter-base',
    '@opentelemetry/otlp-grpc-exporter-base',
    '@opentelemetry/otlp-transformer',
    '@opentelemetry/resources',
    '@opentelemetry/sdk-metrics',
    '@opentelemetry/sdk-node',
  ],
  http: ['express', 'zod', 'bcryptjs'],
  page: ['uplot'],
  agent: ['zod', 'pino'],
  cli: ['commander', 'pino', 'yaml', 'zod'],
};

const roomRules = Object.entries(rooms).map(([room, may]) => ({
  name: `${room}-imports-only-${may.length === 0 ? 'itself' : may.map((m) => m.replace('/', '-')).join('-')}`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: [room, ...may].map((r) => `^src/${r}(/|\\.ts$)`) },
}));

const innerRules = Object.entries(innerRooms).map(([room, may]) => {
  const house = room.split('/')[0];
  return {
    name: `${room.replace('/', '-')}-imports-only-${may.length === 0 ? 'itself' : 'what-it-may'}`,
    severity: 'error',
    from: { path: `^src/${room}/` },
    to: {
      path: `^src/${house}/`,
      pathNot: [room, ...may].map((r) => (r.endsWith('.ts') ? `^src/${r}$` : `^src/${r}(/|\\.ts$)`)),
    },
  };
});

const libraryRules = Object.keys(rooms).map((room) => ({
  name: `${room}-libraries`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: {
    path: '(^|/)node_modules/',
    pathNot: (libraries[room] ?? []).concat('@types/node').map((lib) => `node_modules/(@types/)?${lib}/`),
  },
}));

/** Printed below each violation. */
const comment =
  'The rule is in .dependency-cruiser.cjs; docs/architecture.md lists what each room may import.';

module.exports = {
  forbidden: [
    ...roomRules,
    ...innerRules,
    ...libraryRules,
    {
      // OpenTelemetry takes memory that those who push nothing must not pay.
      name: 'otlp-is-loaded-on-demand',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/export/otlp/' },
      to: { path: '^src/export/otlp/', dynamic: false },
    },
    {
      name: 'http-server-knows-no-tracing',
      severity: 'error',
      from: { path: '^src/http/server/' },
      to: { path: '^src/(model/(?!errors|log|user-file)|export/(?!sample-family))' },
    },
    {
      name: 'agent-has-rooms-and-one-entry',
      severity: 'error',
      from: { path: '^src/agent/[^/]+\\.ts$', pathNot: '^src/agent/capture-thread\\.ts$' },
      to: {},
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-stray-files', severity: 'error', from: { path: '^src/[^/]+\\.ts$' }, to: {} },
    { name: 'not-resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependencies',
      severity: 'error',
      from: { path: '^src' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ].map((rule) => ({ ...rule, comment })),
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
