/**
 * Runs the declared metrics of examples/metrics on the running kernel. They must count exactly what the test's program
 * does; filters leave out the rest of the machine. Needs root and tracefs, on x86-64.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { parse } from 'yaml';
import { makeBench, needTool, type Scrape, settled } from '../support/agent.ts';

const bench = makeBench('examples');
const EXAMPLES = new URL('../../examples/metrics/', import.meta.url).pathname;
const LIBC = '/lib/x86_64-linux-gnu/libc.so.6';
const LIBSSL = '/usr/lib/x86_64-linux-gnu/libssl.so.3';
const OFF = Object.fromEntries(
  ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]),
);
const N = 20;
const SIZE = 123_457;
const NAME = `ftx-ex-${process.pid % 1e6}`;
const PORT = 20_000 + (process.pid % 10_000);

/** Prints the values for the filters, waits for a line, does each operation ${N} times, and waits for another line. */
const WORK = `
import ctypes, json, mmap, os, signal, socket, sys
program, path, name, port, libc, libssl = sys.argv[1:]
open('/proc/self/comm', 'w').write(name)
c, ssl = ctypes.CDLL(libc, use_errno=True), ctypes.CDLL(libssl)
c.malloc.restype, c.free.argtypes, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_void_p], [ctypes.c_size_t]
for f in (ssl.TLS_client_method, ssl.SSL_CTX_new, ssl.SSL_new): f.restype = ctypes.c_void_p
ssl.SSL_CTX_new.argtypes = ssl.SSL_new.argtypes = ssl.SSL_do_handshake.argtypes = [ctypes.c_void_p]
handshake = ssl.SSL_new(ssl.SSL_CTX_new(ssl.TLS_client_method()))
signal.signal(signal.SIGUSR2, lambda *a: None)
fd = os.open(path, os.O_RDWR)
room = mmap.mmap(-1, ${N} * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
room.madvise(mmap.MADV_NOHUGEPAGE)
word = ctypes.c_int(5)
print(json.dumps({'pid': os.getpid(), 'at': ctypes.addressof(ctypes.c_char.from_buffer(room)), 'ino': os.fstat(fd).st_ino}), flush=True)
sys.stdin.readline()
for i in range(${N}):
    os.kill(os.getpid(), signal.SIGUSR2)
    c.syscall(202, ctypes.byref(word), 0, 4, None, None, 0)
    c.free(c.malloc(${SIZE}))
    try: socket.getaddrinfo('127.0.0.x', None, flags=socket.AI_NUMERICHOST)
    except socket.gaierror: pass
    ssl.SSL_do_handshake(handshake)
    with socket.socket() as s: s.connect_ex(('127.0.0.1', int(port)))
    room[i * 4096] = 1
    os.pwrite(fd, b'x', i * 1048576)
    child = os.fork()
    if child == 0: os.execv(program, [program])
    os.waitpid(child, 0)
print('done', flush=True)
sys.stdin.readline()
`;

interface Facts {
  pid: number;
  at: number;
  ino: number;
}

interface Place {
  event?: string;
  where?: string;
}
interface Written {
  name: string;
  event?: string | Place;
  start?: string | Place;
  end?: string | Place;
  where?: string;
}

/** The metrics of an example file, restricted to events that pass the filter. */
function example(file: string, filter: string): Written[] {
  const narrowed = (place: string | Place): Place => {
    const { where, ...rest } = typeof place === 'string' ? { event: place } : { where: undefined, ...place };
    return { ...rest, where: where === undefined ? filter : `(${where}) && ${filter}` };
  };
  const { metrics } = parse(readFileSync(join(EXAMPLES, file), 'utf8')) as { metrics: Written[] };
  return metrics.map(({ where, ...metric }) => {
    const { event, start, end, ...rest } = metric;
    if (event === undefined) return { ...rest, start: narrowed(start ?? ''), end: narrowed(end ?? '') };
    const place = typeof event === 'string' ? { event } : event;
    return { ...rest, event: narrowed(where === undefined ? place : { ...place, where }) };
  });
}

test('examples count what a program knows that it did', {
  skip: process.arch !== 'x64' || ![LIBC, LIBSSL].every((file) => existsSync(file)),
}, async () => {
  needTool('python3', 'python3');
  const [program, path] = [join(bench.directory, 'ftx-true'), join(bench.directory, 'pages')];
  copyFileSync('/bin/true', program);
  writeFileSync(path, '');
  const child = spawn('python3', ['-c', WORK, program, path, NAME, String(PORT), LIBC, LIBSSL]);
  bench.atEnd(() => void child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { pid, at, ino } = JSON.parse((await lines.next()).value as string) as Facts;
  const mine = `common_pid == ${pid}`;
  const agent = await bench.start({
    probes: OFF,
    state_dir: join(bench.directory, 'state'),
    metrics: [
      ...example('signals.yaml', mine),
      ...example('futex-waits.yaml', mine),
      ...example('new-tasks.yaml', mine),
      ...example('exec.yaml', `filename == "${program}"`),
      ...example('dns-lookups.yaml', mine),
      ...example('tls-handshakes.yaml', mine),
      ...example('malloc-sizes.yaml', `${mine} && size == ${SIZE}`),
      ...example('tcp-states.yaml', `dport == ${PORT}`),
      ...example('page-faults.yaml', `${mine} && address >= ${at} && address < ${at + N * 4096}`),
      ...example('page-cache.yaml', `i_ino == ${ino}`),
    ],
  });
  child.stdin.write('\n');
  assert.equal((await lines.next()).value, 'done');
  const counts = (scrape: Scrape) => ({
    signals: scrape.sum('ftrace_signals_delivered_total', { signal: '12', task: NAME }),
    futexWaits: scrape.sum('ftrace_futex_wait_seconds_count', { task: NAME }),
    tasks: scrape.sum('ftrace_tasks_started_total', { by: NAME }),
    programs: scrape.sum('ftrace_programs_started_total', { program }),
    lookups: scrape.sum('ftrace_getaddrinfo_seconds_count', { result: 'failed' }),
    handshakes: scrape.sum('ftrace_tls_handshake_seconds_count', { result: 'other' }),
    blocks: scrape.sum('ftrace_malloc_request_bytes_count'),
    bytes: scrape.sum('ftrace_malloc_request_bytes_sum') / SIZE,
    refused: scrape.sum('ftrace_tcp_state_changes_total', { from: 'TCP_SYN_SENT', to: 'TCP_CLOSE' }),
    faults: scrape.sum('ftrace_faults_by_task_total', { task: NAME }),
    pages: scrape.sum('ftrace_page_cache_pages_total'),
  });
  const scrape = await settled(agent, (one) => Object.values(counts(one)).every((count) => count >= N));
  assert.equal(scrape.sum('ftrace_exporter_events_lost_total'), 0);
  const all = counts(scrape);
  assert.deepEqual(all, Object.fromEntries(Object.keys(all).map((name) => [name, N])), agent.stderr());
  child.stdin.end('\n');
  assert.equal(await agent.stop(), 0, agent.stderr());
});
