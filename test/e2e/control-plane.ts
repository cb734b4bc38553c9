/**
 * A Kubernetes API without nodes: etcd and kube-apiserver, started for a test. There are no controllers, so objects are
 * validated, admitted and stored, and no pod ever runs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONTROL_PLANE, goProgram } from './go-program.ts';

const TOKEN = 'of-the-tests';
const START_TIMEOUT_MS = 120_000;

export interface Answer {
  status: number;
  body: { message?: string; [key: string]: unknown };
  warnings: string[];
}

export interface ControlPlane {
  kubeconfig: string;
  version: string;
  ask(method: string, path: string, body?: unknown): Promise<Answer>;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address !== 'object') throw new Error('no free port');
  return address.port;
}

export function etcdFlags(directory: string, client: number, peer: number): string[] {
  return [
    `--data-dir=${join(directory, 'etcd')}`,
    `--listen-client-urls=http://127.0.0.1:${client}`,
    `--advertise-client-urls=http://127.0.0.1:${client}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-cluster=default=http://127.0.0.1:${peer}`,
    '--unsafe-no-fsync',
  ];
}

/** Flags of kube-apiserver that all tests need. `writeCredentials` writes the files that they name. */
export function apiServerFlags(directory: string, etcd: number, port: number): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcd}`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    `--cert-dir=${join(directory, 'certs')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${join(directory, 'sa.key')}`,
    `--service-account-signing-key-file=${join(directory, 'sa.key')}`,
    `--token-auth-file=${join(directory, 'tokens.csv')}`,
    '--endpoint-reconciler-type=none',
  ];
}

/** Writes the key for tokens of service accounts, and the tokens of users: lines of `token,user,uid,groups`. */
export function writeCredentials(directory: string, tokens: readonly string[]): void {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  writeFileSync(join(directory, 'sa.key'), privateKey);
  writeFileSync(join(directory, 'tokens.csv'), tokens.map((line) => `${line}\n`).join(''));
}

/** Writes a kubeconfig that does not check the server's certificate, because the server makes its own at each start. */
export function writeKubeconfig(file: string, port: number, token: string): void {
  const cluster = { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user: { token } }],
  };
  writeFileSync(file, JSON.stringify(config));
}

/**
 * Starts etcd and kube-apiserver with their files in `directory`; `stop` ends them. If the server does not become
 * ready, throws with the end of its log.
 */
export async function startControlPlane(directory: string): Promise<ControlPlane> {
  const program = goProgram(CONTROL_PLANE);
  mkdirSync(directory, { recursive: true });
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()];
  const children: ChildProcess[] = [];
  const start = (part: string, ...flags: string[]) => {
    const log = openSync(join(directory, `${part}.log`), 'w');
    const child = spawn(program, [part, ...flags], { stdio: ['ignore', log, log], cwd: directory });
    children.push(child);
  };
  const stop = async () => {
    for (const child of children.reverse()) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await ended;
      }
    }
  };

  start('etcd', ...etcdFlags(directory, client, peer));
  writeCredentials(directory, [`${TOKEN},admin,admin,system:masters`]);
  start(
    'kube-apiserver',
    ...apiServerFlags(directory, client, port),
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.0.0.0/24',
    // This plugin needs service accounts that a controller creates, and no controller is running here.
    '--disable-admission-plugins=ServiceAccount',
  );

  const ask = (method: string, path: string, body?: unknown): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
      // The server has made its own certificate, which cannot be verified.
      const options = { host: '127.0.0.1', port, path, method, headers, rejectUnauthorized: false };
      const outgoing = request(options, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => {
          const parsed = text.startsWith('{') ? JSON.parse(text) : { message: text };
          const warnings = [response.headers.warning ?? []].flat().map(String);
          resolve({ status: response.statusCode ?? 0, body: parsed, warnings });
        });
      });
      outgoing.on('error', reject);
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });

  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const ready = await ask('GET', '/readyz').catch(() => undefined);
    if (ready?.status === 200) break;
    if (Date.now() > deadline || children.some(({ exitCode }) => exitCode !== null)) {
      await stop();
      const end = (part: string) => readFileSync(join(directory, `${part}.log`), 'utf8').slice(-2000);
      throw new Error(`the control plane does not come up:\n${end('etcd')}\n${end('kube-apiserver')}`);
    }
    await sleep(250);
  }

  const kubeconfig = join(directory, 'kubeconfig');
  writeKubeconfig(kubeconfig, port, TOKEN);
  const { body } = await ask('GET', '/version');
  return { kubeconfig, version: String(body.gitVersion), ask, stop };
}

// `npm run control-plane` builds it.
if (import.meta.main) console.log(goProgram(CONTROL_PLANE));
