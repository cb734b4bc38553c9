import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { acceptsGzip, encodeBody, negotiateFormat } from '../../../src/export/negotiate.ts';

const PROMETHEUS_2 =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
const PROTOBUF_FIRST =
  'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
const PROTOBUF_THEN_TEXT =
  'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5';

const CASES: readonly (readonly [string | undefined, 'text' | 'openmetrics'])[] = [
  [undefined, 'text'],
  ['', 'text'],
  ['*/*', 'text'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text'],
  ['application/*', 'text'],
  [PROMETHEUS_2, 'openmetrics'],
  [PROMETHEUS_3, 'openmetrics'],
  [PROTOBUF_FIRST, 'openmetrics'],
  [PROTOBUF_THEN_TEXT, 'text'],
  ['application/openmetrics-text', 'openmetrics'],
  ['Application/OpenMetrics-Text; Version="1.0.0"; Charset=utf-8', 'openmetrics'],
  ['application/openmetrics-text;version=0.0.1,text/plain;q=0.5', 'text'],
  ['application/openmetrics-text;version=2.0.0', 'text'],
  ['application/openmetrics-text;q=0', 'text'],
  ['application/openmetrics-text;q=nonsense', 'text'],
  ['application/openmetrics-text;q=0.5,text/plain', 'text'],
  ['text/plain,application/openmetrics-text', 'text'],
  ['application/openmetrics-text,text/plain', 'openmetrics'],
  [',;,=;q', 'text'],
];

test('Accept headers', () => {
  for (const [accept, format] of CASES) assert.equal(negotiateFormat(accept), format, accept);
});

test('Accept-Encoding headers', () => {
  const yes = ['gzip', 'gzip, deflate, br', 'br;q=1.0, gzip;q=0.5', '*', 'GZIP', 'x-gzip'];
  const no = [undefined, '', 'identity', 'gzip;q=0', 'gzip;q=0.0, *', '*;q=0', 'br', 'gzipped'];
  for (const header of yes) assert.equal(acceptsGzip(header), true, header);
  for (const header of no) assert.equal(acceptsGzip(header), false, header);
});

test('bodies are compressed where it is allowed and pays', async () => {
  const large = Buffer.from('metric_total 1\n'.repeat(1000));
  const small = Buffer.from('metric_total 1\n');
  const compressed = await encodeBody(large, 'gzip');
  assert.equal(compressed.encoding, 'gzip');
  assert.deepEqual(gunzipSync(compressed.body), large);
  assert.deepEqual(await encodeBody(large, 'br'), { body: large, encoding: undefined });
  assert.deepEqual(await encodeBody(small, 'gzip'), { body: small, encoding: undefined });
});
