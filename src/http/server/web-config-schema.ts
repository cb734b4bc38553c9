/** Schema of exporter-toolkit's web config. Also rejects mistakes that would admit all clients or none. */
import { z } from 'zod';
import { isMap } from '../../config/overlay.ts';
import { DURATION_PATTERN, parseDuration } from '../../config/units/quantity.ts';
import { costOf } from './bcrypt-hash.ts';
import { CIPHER_SUITES, CLIENT_AUTH_TYPES, CURVES, TLS_VERSIONS } from './tls-names.ts';

const LEAST_COST = 4;
/** Maximum cost of a bcrypt hash. A check at this cost takes several seconds; Prometheus times out after 10 s. */
const HIGHEST_COST = 16;

const file = () => z.string({ error: 'expected the path of a file' });
/** config/problems.ts shows the value, possibly a private key, if a message begins with "must", "is" or "has". */
const pem = () => z.string({ error: 'expected PEM text, as in a YAML block that begins with "|"' });
const names = <Name extends string>(table: Record<Name, unknown>) =>
  z.array(z.enum(Object.keys(table) as [Name, ...Name[]])).optional();

const tlsSection = z
  .strictObject({
    cert_file: file().optional(),
    key_file: file().optional(),
    client_ca_file: file().optional(),
    cert: pem().optional(),
    key: pem().optional(),
    client_ca: pem().optional(),
    client_auth_type: z.enum(CLIENT_AUTH_TYPES).default('NoClientCert'),
    client_allowed_sans: z.array(z.string().min(1)).optional(),
    min_version: z.enum(TLS_VERSIONS).default('TLS12'),
    max_version: z.enum(TLS_VERSIONS).default('TLS13'),
    cipher_suites: names(CIPHER_SUITES),
    prefer_server_cipher_suites: z.boolean().default(true),
    curve_preferences: names(CURVES),
  })
  .superRefine((tls, context) => {
    const wrong = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message, input: undefined });
    for (const key of ['cert', 'key', 'client_ca'] as const) {
      if (tls[key] && tls[`${key}_file`]) {
        wrong(`${key}_file`, `${key} is set too: remove one of them`);
      }
    }
    for (const key of ['cert', 'key'] as const) {
      if (!tls[key] && !tls[`${key}_file`]) wrong(`${key}_file`, `TLS needs ${key}_file or ${key}`);
    }
    checkClients(tls, wrong);
    if (TLS_VERSIONS.indexOf(tls.min_version) > TLS_VERSIONS.indexOf(tls.max_version)) {
      wrong('min_version', `${tls.min_version} is above max_version, which is ${tls.max_version}`);
    }
  });

export type TlsSection = z.output<typeof tlsSection>;

function checkClients(
  tls: Pick<TlsSection, 'client_auth_type' | 'client_allowed_sans' | 'client_ca' | 'client_ca_file'>,
  wrong: (key: string, message: string) => void,
): void {
  const type = tls.client_auth_type;
  const hasCa = Boolean(tls.client_ca || tls.client_ca_file);
  const caKey = tls.client_ca ? 'client_ca' : 'client_ca_file';
  if (hasCa && type === 'NoClientCert') {
    wrong(
      caKey,
      'no effect while client_auth_type is NoClientCert: set client_auth_type to RequireAndVerifyClientCert',
    );
  }
  if (!hasCa && type.includes('Verify')) {
    wrong(
      'client_auth_type',
      `${type} needs client_ca_file or client_ca, the CAs that sign client certificates`,
    );
  }
  if (tls.client_allowed_sans === undefined) return;
  if (!type.startsWith('Require')) {
    wrong(
      'client_allowed_sans',
      `needs client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert: with ${type} a client needs no certificate`,
    );
  }
  if (tls.client_allowed_sans.length === 0)
    wrong('client_allowed_sans', 'is empty, so the server would refuse every client');
}

function header(choices: readonly string[] = []) {
  const text = z.string({ error: 'expected a string' }).superRefine((value, context) => {
    const problem = headerProblem(value, choices);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem, input: value });
  });
  return text.optional();
}

function headerProblem(value: string, choices: readonly string[]): string | undefined {
  if (value === '') return undefined;
  if (choices.length > 0 && !choices.includes(value)) return `must be ${choices.join(' or ')}`;
  try {
    process.getBuiltinModule('node:http').validateHeaderValue('value', value);
    return undefined;
  } catch {
    return 'has a character that is not allowed in headers';
  }
}

/** Converts a Go duration such as `1s` or `1m30s` to nanoseconds. 0 means no limit. */
const interval = z
  .union([z.literal(0), z.string()], { error: 'must be a duration, as in 1s, or 0 for no limit' })
  .transform((text, context) => {
    const parts = String(text).match(/\d+(?:\.\d+)?[a-zµμ]+/g) ?? [];
    if (text === 0 || text === '0') return 0;
    const plain = parts.map((part) => part.replace(/[µμ]s$/, 'us'));
    if (parts.join('') !== text || !plain.every((part) => DURATION_PATTERN.test(part))) {
      context.addIssue({
        code: 'custom',
        message: 'must be a duration, as in 1s, or 0 for no limit',
        input: text,
      });
      return z.NEVER;
    }
    return plain.reduce((sum, part) => sum + parseDuration(part), 0);
  });

/** Returns what is wrong with a user's entry; undefined if it is valid. Must not show the value (see `pem`). */
function userProblem(name: string, hash: unknown): string | undefined {
  if (name === '' || /[:\p{Cc}]/u.test(name)) {
    return 'not a valid user name: basic authentication allows no empty name, no colon and no control characters';
  }
  const cost = typeof hash === 'string' ? costOf(hash) : Number.NaN;
  if (Number.isNaN(cost)) {
    return 'not a bcrypt hash ($2b$10$… of 60 characters): make one with htpasswd -nBC 10 NAME';
  }
  if (cost < LEAST_COST || cost > HIGHEST_COST) {
    return `the bcrypt cost is ${cost}, but it must be from ${LEAST_COST} to ${HIGHEST_COST}; with 10, a check takes a tenth of a second`;
  }
  return undefined;
}

/** Checks every entry itself: z.record skips a user named `__proto__`. Without any user, the server admits everyone. */
const users = z.unknown().transform((section, context): ReadonlyMap<string, string> => {
  const entries = isMap(section ?? {}) ? Object.entries(section ?? {}) : undefined;
  if (entries === undefined) {
    context.addIssue({
      code: 'custom',
      message: 'expected a map of user names and bcrypt hashes',
      input: undefined,
    });
    return z.NEVER;
  }
  for (const [name, hash] of entries) {
    const message = userProblem(name, hash);
    if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message, input: undefined });
  }
  return new Map(entries as [string, string][]);
});

export const webConfigSchema = z.strictObject({
  tls_server_config: tlsSection.optional(),
  http_server_config: z
    .strictObject({
      http2: z.boolean().optional(),
      headers: z
        .strictObject({
          'Content-Security-Policy': header(),
          'X-Frame-Options': header(['deny', 'sameorigin']),
          'X-Content-Type-Options': header(['nosniff']),
          'X-XSS-Protection': header(),
          'Strict-Transport-Security': header(),
        })
        .prefault({}),
    })
    .prefault({}),
  basic_auth_users: users.prefault({}),
  rate_limit: z
    .strictObject({ interval: interval.prefault(0), burst: z.int().min(0).max(1_000_000).optional() })
    .superRefine(({ interval, burst }, context) => {
      if (interval === 0 || burst !== 0) return;
      context.addIssue({
        code: 'custom',
        path: ['burst'],
        message: 'must be at least 1: with 0, the server would refuse every request',
        input: burst,
      });
    })
    .prefault({}),
});
