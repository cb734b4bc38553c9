/** `--web.config.file`: reads TLS, users, headers and rates from a YAML file in the format of exporter-toolkit. */
import { z } from 'zod';
import { isMap, withoutNulls } from '../../config/overlay.ts';
import { describeProblems } from '../../config/problems.ts';
import { readYamlFile, type YamlFile } from '../../config/yaml-file.ts';
import { UsageError } from '../../model/errors.ts';
import { readTls, type TlsSettings } from './tls-settings.ts';
import { webConfigSchema } from './web-config-schema.ts';

export interface WebConfig {
  /** Undefined means plain HTTP. */
  tls: TlsSettings | undefined;
  /** Headers of every response. */
  headers: readonly (readonly [name: string, value: string])[];
  /** bcrypt hashes by user name. If empty, no password is needed. */
  users: ReadonlyMap<string, string>;
  rate: Rate | undefined;
}

/** A token bucket that gets one token per `intervalNs` and holds at most `burst` tokens. */
export interface Rate {
  intervalNs: number;
  burst: number;
}

/** Calls `read` with each path before opening the file. Throws a `UsageError` with one line per problem. */
export function readWebConfig(path: string, read: (file: string) => void = () => {}): WebConfig {
  read(path);
  const file = readYamlFile(path);
  if (file.value !== undefined && !isMap(file.value)) {
    throw new UsageError(
      `${file.place([], 'value')}: a web config must be a map of keys, as in "tls_server_config:"`,
    );
  }
  const value = given(file.value ?? {});
  const checked = webConfigSchema.safeParse(value);
  if (!checked.success) {
    const jsonSchema = z.toJSONSchema(webConfigSchema, { io: 'input' });
    const context = { value, jsonSchema, place: file.place };
    throw new UsageError(describeProblems(checked.error.issues, context).join('\n'));
  }
  const { tls_server_config: section, http_server_config: http, basic_auth_users: users } = checked.data;
  const { interval, burst = 1 } = checked.data.rate_limit;
  return {
    tls: section && tlsOf(section, path, file, read),
    headers: Object.entries(http.headers).filter((entry): entry is [string, string] => Boolean(entry[1])),
    users,
    rate: interval === 0 ? undefined : { intervalNs: interval, burst },
  };
}

/** Removes the same empty parts as exporter-toolkit, except mistakes that the schema must report. */
function given({ basic_auth_users, tls_server_config, ...others }: Record<string, unknown>): unknown {
  const value = {
    ...(withoutNulls(others) as object),
    ...(basic_auth_users == null ? {} : { basic_auth_users }),
  };
  if (tls_server_config == null) return value;
  if (!isMap(tls_server_config)) return { ...value, tls_server_config };
  const entries = Object.entries(tls_server_config);
  if (entries.length === 0) return value;
  const entriesWithValue = entries.filter(([, inner]) => inner !== null && inner !== '');
  return { ...value, tls_server_config: Object.fromEntries(entriesWithValue) };
}

function tlsOf(
  section: Parameters<typeof readTls>[0],
  path: string,
  file: YamlFile,
  read: (file: string) => void,
): TlsSettings {
  const problems: string[] = [];
  const settings = readTls(section, path, read, (key, message) => {
    const at = ['tls_server_config', key];
    problems.push(`${file.place(at, 'value')}: ${at.join('.')}: ${message}`);
  });
  if (settings === undefined) throw new UsageError(problems.join('\n'));
  return settings;
}
