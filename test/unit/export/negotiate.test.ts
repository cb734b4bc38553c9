import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import {
  acceptsGzip,
  type ExpositionFormat,
  encodeBody,
  negotiateFormat,
} from '../../../src/export/exposition/negotiate.ts';

const PROMETHEUS_2 =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';
/** Accept headers of Prometheus 3.16 with scrape_native_histograms, and of 2.42 with the feature native-histograms. */
const PROMETHEUS_3_NATIVE = `${PROTOBUF};q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2`;
const PROMETHEUS_2_NATIVE = `${PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`;

const CASES: readonly (readonly [string | undefined, ExpositionFormat])[] = [
  [undefined, 'text'],
  ['', 'text'],
  ['*/*', 'text'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text'],
  ['application/*', 'text'],
  [PROMETHEUS_2, 'openmetrics'],
  [PROMETHEUS_3, 'openmetrics'],
  [PROMETHEUS_2_NATIVE, 'protobuf'],
  [PROMETHEUS_3_NATIVE, 'protobuf'],
  [PROTOBUF, 'protobuf'],
  [`${PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.6,application/openmetrics-text;q=0.5`, 'protobuf'],
  [`${PROTOBUF};q=0.5,application/openmetrics-text;version=1.0.0;q=0.6`, 'openmetrics'],
  [`application/openmetrics-text;version=1.0.0,${PROTOBUF}`, 'openmetrics'],
  [`${PROTOBUF},application/openmetrics-text;version=1.0.0`, 'protobuf'],
  [`${PROTOBUF};q=0,text/plain;q=0.1`, 'text'],
  [`${PROTOBUF};q=0`, 'text'],
  [PROTOBUF.replace('delimited', 'text'), 'text'],
  [PROTOBUF.replace('delimited', 'compact-text'), 'text'],
  [PROTOBUF.replace('MetricFamily', 'Other'), 'text'],
  ['application/vnd.google.protobuf', 'text'],
  ['application/vnd.google.protobuf,application/openmetrics-text;q=0.1', 'openmetrics'],
  [
    'Application/Vnd.Google.Protobuf; Encoding="delimited"; Proto="io.prometheus.client.MetricFamily"',
    'protobuf',
  ],
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

test('bodies are compressed if that is allowed and worth it', async () => {
  const large = Buffer.from('metric_total 1\n'.repeat(1000));
  const small = Buffer.from('metric_total 1\n');
  const compressed = await encodeBody(large, 'gzip');
  assert.equal(compressed.encoding, 'gzip');
  assert.deepEqual(gunzipSync(compressed.body), large);
  assert.deepEqual(await encodeBody(large, 'br'), { body: large, encoding: undefined });
  assert.deepEqual(await encodeBody(small, 'gzip'), { body: small, encoding: undefined });
});
