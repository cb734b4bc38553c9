/** Sends HTTP requests to the agent at the URL that the user gave. */
import { UsageError } from '../../model/errors.ts';

const TIMEOUT_MS = 5000;
export const DEFAULT_URL = 'http://localhost:10743';

export interface Client {
  /** The URL without user name and password. */
  url: string;
  get<T>(path: string): Promise<T>;
}

/** `http://` is optional; `user:password@` becomes basic authentication. Throws a `UsageError` for other texts. */
export function makeClient(text: string): Client {
  const base = parse(text);
  const headers: Record<string, string> = {};
  if (base.username !== '') {
    const credentials = `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`;
    headers.authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
    base.username = '';
    base.password = '';
  }
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const url = base.href;
  return {
    url,
    get: async <T>(path: string): Promise<T> => {
      const answer = await fetch(new URL(path, base), {
        headers,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      }).catch((error: Error) => {
        const cause = error.cause instanceof Error ? error.cause.message : error.message;
        throw new Error(`no answer from ${url}: ${cause || error.message}`);
      });
      const isJson = answer.headers.get('content-type')?.startsWith('application/json') === true;
      if (isJson) return (await answer.json()) as T;
      throw new Error(`${url} answered ${answer.status}: ${(await answer.text()).trim().slice(0, 200)}`);
    },
  };
}

function parse(text: string): URL {
  const withScheme = /^https?:\/\//.test(text) ? text : `http://${text}`;
  if (!URL.canParse(withScheme) || /\s/.test(text))
    throw new UsageError(`${JSON.stringify(text)} is not a URL, such as ${DEFAULT_URL}`);
  const url = new URL(withScheme);
  url.search = '';
  url.hash = '';
  return url;
}
