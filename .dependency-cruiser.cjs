// The room rules of docs/architecture.md: default deny, type-only imports count, no cycles.
// One line a room: what it may import besides itself. Everything not allowed here is an error.
const rooms = {
  model: [],
  config: ['model'],
  tracefs: ['model'],
  host: ['model'],
  decode: ['model'],
  capture: ['model', 'decode'],
  metrics: ['model'],
  probes: ['model', 'metrics', 'config/units', 'decode'],
  spans: ['model'],
  export: ['model'],
  http: ['model', 'config', 'export'],
  agent: ['model', 'config', 'tracefs', 'host', 'decode', 'capture', 'metrics', 'probes', 'spans', 'export'],
  cli: [
    'model',
    'config',
    'tracefs',
    'host',
    'decode',
    'capture',
    'metrics',
    'probes',
    'spans',
    'export',
    'http',
    'agent',
  ],
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
  agent: ['zod', 'pino'],
  cli: ['commander', 'pino', 'yaml', 'zod'],
};

const roomRules = Object.entries(rooms).map(([room, may]) => ({
  name: `${room}-imports-only-${may.length === 0 ? 'itself' : may.map((m) => m.replace('/', '-')).join('-')}`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: [room, ...may].map((r) => `^src/${r}(/|\\.ts$)`) },
}));

const libraryRules = Object.keys(rooms).map((room) => ({
  name: `${room}-libraries`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: {
    path: '(^|/)node_modules/',
    pathNot: (libraries[room] ?? []).concat('@types/node').map((lib) => `node_modules/(@types/)?${lib}/`),
  },
}));

module.exports = {
  forbidden: [
    ...roomRules,
    ...libraryRules,
    {
      // OpenTelemetry takes memory that those who push nothing must not pay.
      name: 'otlp-is-loaded-on-demand',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/export/otlp-' },
      to: { path: '^src/export/otlp-', dynamic: false },
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
  ],
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
