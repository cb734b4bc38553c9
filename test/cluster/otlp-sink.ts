/** An OTLP backend inside the cluster's network. It logs each request that it receives as JSON, one per line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { NODE_ADDRESS } from './namespaces.ts';

const PORT = 4318;
export const OTLP = { endpoint: `http://${NODE_ADDRESS}:${PORT}`, protocol: 'http/json', metrics: false };

interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: string };
}

export interface PushedSpan {
  name: string;
  resource: Record<string, string>;
  attributes: Record<string, string>;
}

const SCRIPT = `require('node:http').createServer((request, response) => {
  let text = '';
  request.on('data', (chunk) => { text += chunk; });
  request.on('end', () => { console.log(text); response.setHeader('content-type', 'application/json').end('{}'); });
}).listen(${PORT}, '${NODE_ADDRESS}')`;

/** Starts the backend. Returns the spans that have arrived so far. */
export function startSink(cluster: Cluster): () => PushedSpan[] {
  cluster.start('sink', process.execPath, '-e', SCRIPT);
  return () =>
    readFileSync(join(cluster.directory, 'sink.log'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .flatMap((line) => spansOf(JSON.parse(line)));
}

interface Request {
  resourceSpans?: {
    resource: { attributes: Attribute[] };
    scopeSpans: { spans: { name: string; attributes: Attribute[] }[] }[];
  }[];
}

function spansOf({ resourceSpans = [] }: Request): PushedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ name, attributes }) => ({
        name,
        resource: plain(resource.attributes),
        attributes: plain(attributes),
      })),
    ),
  );
}

function plain(attributes: readonly Attribute[]): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, String(value.stringValue ?? value.intValue)]),
  );
}
