/**
 * Traces on the running kernel must name the cause of blocked time, in cases whose cause is known: for at least 95 % of
 * the time, and never a task that was not running at that time. All tasks of a case run on CPU 0, because not every
 * machine records events in the idle task of other CPUs.
 */
import { before, it } from 'node:test';
import { makeBench, needTool } from '../support/agent.ts';
import {
  checkPathCase,
  isOf,
  lasts,
  type PathCase,
  READS_BEHIND_A_HOG,
  RUNS,
} from '../support/path-cases.ts';

const bench = makeBench('paths');

before(() => {
  needTool('python3', 'python3');
  needTool('taskset', 'util-linux');
});

const CASES: PathCase[] = [
  {
    what: 'a sleep ends with its timer',
    syscall: 'clock_nanosleep',
    script: 'for i in range(RUNS): time.sleep(0.02)\n',
    expected: (_root, below) => lasts(below, ({ name }) => name === 'timer') >= 19e6,
    atLeast: RUNS,
  },
  {
    what: 'two hops: the task that another one waits for sleeps',
    syscall: 'read',
    script: `
above_others()
mine, b_writes = os.pipe()
b_reads, c_writes = os.pipe()
def b():
    for i in range(RUNS + 5): os.read(b_reads, 1); os.write(b_writes, b'x')
def c():
    for i in range(RUNS + 5): time.sleep(0.02); os.write(c_writes, b'x')
child('ftp-b', b)
child('ftp-c', c)
for i in range(RUNS + 5): os.read(mine, 1)
`,
    expected: (_root, below) =>
      below.some((span) => isOf(span, 'blocked', 'ftp-b')) && lasts(below, (s) => s.name === 'timer') >= 10e6,
    atLeast: RUNS,
  },
  {
    what: 'the writer of a pipe waits for a CPU',
    syscall: 'read',
    script: READS_BEHIND_A_HOG,
    expected: (_root, below) =>
      below.some((span) => isOf(span, 'runqueue wait', 'ftp-writer')) &&
      below.some((span) => isOf(span, 'running', 'ftp-writer') || isOf(span, 'short steps', 'ftp-writer')),
    atLeast: RUNS,
  },
  {
    what: 'the holder of a futex is preempted',
    syscall: 'futex',
    script: `
above_others()
lock = multiprocessing.Lock()
mine, writes = os.pipe()
def holder():
    for i in range(RUNS + 5):
        lock.acquire()
        os.write(writes, b'x')
        spin(0.012)
        lock.release()
        time.sleep(0.02)
child('ftp-holder', holder)
child('ftp-hog', hog, -5)
for i in range(RUNS + 5):
    os.read(mine, 1)
    lock.acquire()
    lock.release()
`,
    expected: (_root, below) => below.some((span) => isOf(span, 'runqueue wait', 'ftp-holder')),
    // The main process may ask for the lock only after the holder has released it.
    atLeast: RUNS / 2,
  },
  {
    what: 'the peer of a connection on this machine waits for a CPU',
    syscall: 'epoll_wait',
    script: `
above_others()
server = socket.create_server(('127.0.0.1', 0))
theirs = socket.create_connection(server.getsockname())
mine, _ = server.accept()
def sender():
    for i in range(RUNS + 5):
        time.sleep(0.008)
        spin(0.004)
        theirs.send(b'x')
child('ftp-sender', sender)
child('ftp-hog', hog, -5)
poll = select.epoll()
poll.register(mine, select.EPOLLIN)
for i in range(RUNS + 5):
    poll.poll()
    mine.recv(1)
`,
    expected: (_root, below) => below.some(({ attributes }) => attributes['thread.name'] === 'ftp-sender'),
    atLeast: RUNS,
  },
  {
    what: 'fsync behind a hog',
    syscall: 'fsync',
    threshold: '1ms',
    script: `
child('ftp-hog', hog, -5)
slow_fsyncs(65536)
`,
    expected: (_root, below) =>
      below.some(({ name }) => name.startsWith('block ')) &&
      below.some(({ name }) => name === 'runqueue wait'),
    atLeast: RUNS,
  },
];

for (const one of CASES) it(one.what, async () => void (await checkPathCase(bench, one)));
