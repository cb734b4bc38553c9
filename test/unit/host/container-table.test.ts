/** Assigns tasks to containers, in control groups as runtimes make them, of both versions, and after changes. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { type ContainerTable, openContainerTable } from '../../../src/host/container-table.ts';
import { SURPLUS } from '../../../src/model/containers.ts';

const root = mkdtempSync(join(tmpdir(), 'containers-'));
after(() => rmSync(root, { recursive: true }));

const ID = '79fedb3bd23ca77c9d9ccb41909038316f713df22b54b7d942b71d3812e7c74e';
const ID2 = 'aaefb9d8feed2d453b543f6d928cede7a4dbefa6a0ae7c9b990dd234c56e93b9';
const NODE = 'e0efb9d8feed2d453b543f6d928cede7a4dbefa6a0ae7c9b990dd234c56e93b9';
const PAUSE = 'ccefb9d8feed2d453b543f6d928cede7a4dbefa6a0ae7c9b990dd234c56e93b9';
const UID = '2fc932ce-fdcc-454b-97bd-aadfdeb4c340';
const HASH = '89f4f2cb511c3b0b7e5272cff5ec37bf';
const POD = `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UID.replaceAll('-', '_')}.slice`;

let made = 0;

/** Simulates a machine with control groups of version 2 or, if `v1` is given, with a hierarchy of version 1. */
function machine(v1?: { dir: string; line: string }) {
  const dir = join(root, String(made++));
  const cgroupDir = join(dir, 'cgroup');
  const groups = v1 ? join(cgroupDir, v1.dir) : cgroupDir;
  const file = (path: string, text: string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  let nowMs = 0;
  const group = (path: string, tids: readonly number[]) =>
    file(join(groups, path, v1 ? 'tasks' : 'cgroup.threads'), tids.map((tid) => `${tid}\n`).join(''));
  if (!v1) file(join(cgroupDir, 'cgroup.controllers'), 'cpu memory pids\n');
  file(join(dir, 'proc/self/cgroup'), v1 ? `3:cpuset:/\n${v1.line}\n0::/\n` : '0::/\n');
  file(join(dir, 'proc/2/task/2/children'), '3 4 ');
  group('', [2, 3, 4]);
  group('/init.scope', [1]);
  const open = (options: { max?: number } = {}): ContainerTable => {
    const table = openContainerTable({
      cgroupDir,
      podLogs: join(dir, 'pods'),
      max: options.max ?? 200,
      keepMs: 300_000,
      procDir: join(dir, 'proc'),
      nowMs: () => nowMs,
    });
    table.procIsHosts(true);
    return table;
  };
  return {
    group,
    removeGroup: (path: string) => rmSync(join(groups, path), { recursive: true }),
    /** Writes the mounts of a task, with the file that the kubelet mounts into a container. */
    mounts: (tid: number, container: string) =>
      file(
        join(dir, 'proc', String(tid), 'mountinfo'),
        `5 4 254:0 / / rw - ext4 /dev/vda rw\n${container === '' ? '' : `9 5 254:0 /var/lib/kubelet/pods/${UID}/containers/${container}/9f2c1a03 /dev/termination-log rw - ext4 /dev/vda rw\n`}`,
      ),
    cgroupOf: (tid: number, text: string) => file(join(dir, 'proc', String(tid), 'cgroup'), text),
    logs: (pod: string, ...containers: string[]) => {
      for (const container of containers) file(join(dir, 'pods', pod, container, '0.log'), '');
    },
    file: (path: string, text: string) => file(join(groups, path), text),
    open,
    /** Lets seconds pass, and refreshes the table after each of them. */
    pass: (table: ContainerTable, seconds: number) => {
      for (let i = 0; i < seconds; i++) {
        nowMs += 1000;
        table.refresh();
      }
    },
  };
}

/** Looks up a task's slot as a probe does. */
const slotOf = (table: ContainerTable, tid: number): number => {
  const slot = table.table[tid];
  if (slot <= SURPLUS) table.miss(slot);
  return slot;
};
const labelsOf = (table: ContainerTable, tid: number) => table.labels(slotOf(table, tid))?.join(' ');

for (const [what, v1] of [
  ['version 2', undefined],
  ['version 1', { dir: 'cpu,cpuacct', line: '7:cpu,cpuacct:/' }],
  ['hybrid', { dir: 'cpu', line: '1:cpu:/' }],
] as const) {
  test(`${what}: tasks of containers, units, the system and the kernel`, () => {
    const m = machine(v1);
    m.group(`/system.slice/docker-${ID}.scope`, [10, 11]);
    m.group(`/system.slice/docker-${ID}.scope/inside/deeper`, [12]);
    m.group('/system.slice/nginx.service', [20]);
    m.group('/system.slice/system-getty.slice/getty@tty1.service', [21]);
    m.group('/user.slice/user-1000.slice/session-3.scope', [30]);
    m.group('/user.slice/user-1000.slice/user@1000.service/app.slice/shell.service', [31]);
    m.group(`/machine.slice/libpod-${ID2}.scope`, [40]);
    m.group(`/machine.slice/libpod-conmon-${ID2}.scope`, [41]);
    // A node of kind: Docker with the driver cgroupfs, and containerd with another one within.
    m.group(`/docker/${NODE}/kubelet.slice/kubelet-kubepods.slice/cri-containerd-${ID}.scope`, [50]);
    const table = m.open();
    m.pass(table, 1);
    assert.deepEqual(
      [10, 11, 12, 20, 21, 30, 31, 40, 41, 50, 1, 2, 4, 999].map((tid) => labelsOf(table, tid)?.trim()),
      [
        ...[ID, ID, ID].map((id) => id.slice(0, 12)),
        'nginx.service',
        'getty@tty1.service',
        ...['user-1000.slice', 'user-1000.slice'],
        ID2.slice(0, 12),
        'system',
        NODE.slice(0, 12),
        ...['system', 'kernel', 'kernel', 'other'],
      ],
    );
    assert.deepEqual(table.missed(), { unknown: 1, surplus: 0 });
    assert.equal(table.problem(), '');
  });
}

test('pods: names from the directories of their logs and the mounts of their tasks', () => {
  const m = machine();
  m.group(`${POD}/cri-containerd-${ID}.scope`, [10]);
  m.group(`${POD}/cri-containerd-${ID2}.scope`, [20]);
  m.group(`${POD}/cri-containerd-${PAUSE}.scope`, [30]);
  m.mounts(10, 'web');
  m.mounts(20, 'proxy');
  m.mounts(30, '');
  m.logs(`shop_web-0_${UID}`, 'web', 'proxy');
  const table = m.open();
  m.pass(table, 2);
  assert.equal(labelsOf(table, 10), 'shop web-0 web');
  assert.equal(labelsOf(table, 20), 'shop web-0 proxy');
  assert.equal(labelsOf(table, 30)?.trim(), 'system', 'it holds the namespaces of the pod');
  assert.equal(table.slots().length, 5 + 2);
});

test('pods whose tasks have no readable mounts, or that the kubelet starts from files', () => {
  const m = machine();
  m.group(`/kubepods/burstable/pod${HASH}/${ID}`, [10]);
  m.group(`/kubepods/pod${UID}/${ID2}`, [20]);
  m.logs(`kube-system_etcd-node_${HASH}`, 'etcd');
  const table = m.open();
  m.pass(table, 2);
  assert.equal(labelsOf(table, 10), undefined, 'perhaps later');
  m.pass(table, 4);
  assert.equal(labelsOf(table, 10), 'kube-system etcd-node etcd');
  assert.equal(labelsOf(table, 20), ` ${UID} ${ID2.slice(0, 12)}`);
  assert.deepEqual(table.notes(), []);
});

test('without the directory of logs, pods are called by their uid, and a note says so', () => {
  const m = machine();
  m.group(`${POD}/crio-${ID}.scope/container`, [10]);
  m.mounts(10, 'web');
  const table = m.open();
  m.pass(table, 6);
  assert.equal(labelsOf(table, 10), ` ${UID} web`);
  assert.match(table.notes().join(), /pods are shown without their names: .*pods cannot be read \(ENOENT\)/);
});

test('new tasks are where the task is that made them; one with an old number too', () => {
  const m = machine();
  m.group('/system.slice/a.service', [10]);
  m.group('/system.slice/b.service', [20]);
  const table = m.open();
  table.refresh();
  table.forked(30, 10);
  assert.equal(labelsOf(table, 30), '  a.service');
  table.forked(30, 20);
  assert.equal(labelsOf(table, 30), '  b.service');
  table.forked(31, 3);
  assert.equal(labelsOf(table, 31), '  kernel');
});

test('a move takes all threads of the process along, and other hierarchies do not count', () => {
  const m = machine({ dir: 'cpu', line: '4:cpu:/' });
  m.group('/', [10, 11, 12]);
  const table = m.open();
  table.refresh();
  m.group(`/docker/${ID}`, [10, 11]);
  table.attached(10, 9, `/docker/${ID2}`);
  assert.equal(labelsOf(table, 10)?.trim(), 'system');
  table.attached(10, 4, `/docker/${ID}`);
  table.refresh();
  const there = `  ${ID.slice(0, 12)}`;
  assert.deepEqual(
    [10, 11, 12].map((tid) => labelsOf(table, tid)),
    [there, there, '  system'],
  );
});

test('a task that begins in another group is looked up; one that has ended is not known', () => {
  const m = machine();
  const table = m.open();
  m.cgroupOf(50, `0::/system.slice/docker-${ID}.scope\n`);
  table.clonedInto(50);
  table.clonedInto(51);
  table.refresh();
  assert.equal(labelsOf(table, 50)?.trim(), ID.slice(0, 12));
  assert.equal(labelsOf(table, 51)?.trim(), 'other');
});

test('moves without end are not looked up one by one', () => {
  const m = machine();
  m.group('/system.slice/a.service', [10, 11]);
  const table = m.open();
  m.pass(table, 20);
  for (let i = 0; i < 1000; i++) table.clonedInto(1000 + i);
  m.cgroupOf(60, '0::/system.slice/a.service\n');
  table.clonedInto(60);
  assert.equal(labelsOf(table, 60)?.trim(), 'other');
  m.group('/system.slice/a.service', [10, 11, 60]);
  m.pass(table, 3);
  assert.equal(labelsOf(table, 60)?.trim(), 'a.service', 'the next scan finds out');
});

test('after a loss no task is known until the next scan', () => {
  const m = machine();
  m.group('/system.slice/a.service', [10]);
  const table = m.open();
  m.pass(table, 20);
  table.lost();
  assert.equal(labelsOf(table, 10)?.trim(), 'other');
  table.forked(11, 10);
  assert.equal(labelsOf(table, 11)?.trim(), 'other');
  m.group('/system.slice/a.service', [11]);
  table.refresh();
  assert.equal(labelsOf(table, 11)?.trim(), 'a.service');
  assert.equal(labelsOf(table, 10)?.trim(), 'other', 'it has ended in the loss');
  table.lost();
  table.refresh();
  assert.equal(labelsOf(table, 11)?.trim(), 'other', 'not again at once');
  m.pass(table, 2);
  assert.equal(labelsOf(table, 11)?.trim(), 'a.service');
});

test('unknown tasks without a loss: a scan after some seconds', () => {
  const m = machine();
  const table = m.open();
  m.pass(table, 30);
  m.group('/system.slice/late.service', [70]);
  assert.equal(labelsOf(table, 70)?.trim(), 'other');
  m.pass(table, 1);
  assert.equal(labelsOf(table, 70)?.trim(), 'late.service');
});

test('past the limit tasks are other; what has ended makes room, after its time or when it is needed', () => {
  const m = machine();
  m.group('/system.slice/a.service', [10]);
  m.group('/system.slice/b.service', [20]);
  const table = m.open({ max: 2 });
  const released: (string | undefined)[] = [];
  table.onRelease((slot) => released.push(table.labels(slot)?.[2]));
  m.pass(table, 3);
  table.attached(30, 0, '/system.slice/c.service');
  assert.equal(labelsOf(table, 30)?.trim(), 'other');
  assert.equal(table.missed().surplus, 1);
  m.removeGroup('/system.slice/a.service');
  m.pass(table, 20);
  assert.equal(labelsOf(table, 10)?.trim(), 'a.service', 'kept for a time');
  table.attached(30, 0, '/system.slice/c.service');
  table.refresh();
  assert.equal(labelsOf(table, 30)?.trim(), 'c.service');
  assert.deepEqual(released, ['a.service']);
  m.removeGroup('/system.slice/b.service');
  m.pass(table, 330);
  assert.deepEqual(released.sort(), ['a.service', 'b.service', 'c.service']);
  assert.equal(labelsOf(table, 20)?.trim(), 'other');
});

test('how long a group was throttled and stood still', () => {
  const m = machine();
  m.group('/system.slice/a.service', [10]);
  m.file('/system.slice/a.service/cpu.stat', 'usage_usec 9\nnr_throttled 3\nthrottled_usec 2500000\n');
  m.file(
    '/system.slice/a.service/cpu.pressure',
    'some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n',
  );
  const table = m.open();
  assert.deepEqual(table.usage(slotOf(table, 10)), { throttledSeconds: 2.5, pressureSeconds: 1.5 });
  const old = machine({ dir: 'cpu', line: '4:cpu:/' });
  old.group('/a.service', [10]);
  old.file('/a.service/cpu.stat', 'nr_periods 4\nnr_throttled 1\nthrottled_time 1000000000\n');
  const v1 = old.open();
  assert.deepEqual(v1.usage(slotOf(v1, 10)), { throttledSeconds: 1 });
  assert.equal(v1.usage(3), undefined);
});

test('where nothing can be known, the reason is given and every task is other', () => {
  const m = machine();
  const nested = m.open();
  nested.procIsHosts(false);
  assert.match(nested.problem(), /pid namespace/);
  const none = openContainerTable({ cgroupDir: join(root, 'none'), podLogs: root, max: 10, keepMs: 1 });
  none.procIsHosts(true);
  assert.match(none.problem(), /none is not a cgroup mount/);
  none.refresh();
  none.attached(1, 0, `/docker/${ID}`);
  assert.equal(labelsOf(none, 1)?.trim(), 'other');
  const own = machine();
  own.removeGroup('/init.scope');
  assert.match(own.open().problem(), /shows only the cgroups of the agent/);
});

test('with the processes of others hidden, the root group has only threads of the kernel where systemd runs', () => {
  const m = machine();
  rmSync(join(root, String(made - 1), 'proc/2'), { recursive: true });
  const table = m.open();
  assert.deepEqual(
    [3, 4, 1].map((tid) => labelsOf(table, tid)?.trim()),
    ['kernel', 'kernel', 'system'],
  );
});
