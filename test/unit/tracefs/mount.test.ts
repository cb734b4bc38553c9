import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findTracefs, type MountSystem, parseMounts, pathOnHost } from '../../../src/tracefs/mount.ts';
import { fakeTracefs } from './fake.ts';

/** Simulates a system with these mounts. Its `mount` records the requests and fails. */
function fakeSystem(context: TestContext, mounts: string, lockdown = '[none] integrity confidentiality\n') {
  const dir = fakeTracefs(context, { mounts, lockdown });
  const requests: string[] = [];
  const system: MountSystem = {
    mountsFile: join(dir, 'mounts'),
    lockdownFile: join(dir, 'lockdown'),
    uid: 0,
    mount: (target) => {
      requests.push(target);
      return 'mount: permission denied.';
    },
  };
  return { system, requests };
}

const escaped = (dir: string) => dir.replaceAll(' ', '\\040');

test('finds tracefs wherever it is mounted, also with blanks in its path', (t) => {
  const root = fakeTracefs(t, {}, 'fake tracefs ');
  const { system } = fakeSystem(
    t,
    `sysfs /sys sysfs rw 0 0\nnodev ${escaped(root)} tracefs rw,relatime 0 0\n`,
  );
  assert.equal(findTracefs({ mayMount: false }, system), root);
});

test('prefers a writable mount that has instances', (t) => {
  const [readOnly, broken, good] = [fakeTracefs(t, {}), fakeTracefs(t, {}), fakeTracefs(t, {})];
  rmSync(join(broken, 'instances'), { recursive: true });
  const lines = [
    `nodev ${readOnly} tracefs ro,relatime 0 0`,
    `nodev ${broken} tracefs rw 0 0`,
    `nodev ${good} tracefs rw 0 0`,
  ];
  const { system } = fakeSystem(t, `${lines.join('\n')}\n`);
  assert.equal(findTracefs({ mayMount: false }, system), good);
});

test('looks below debugfs if tracefs is not mounted by itself', (t) => {
  const debug = fakeTracefs(t, { 'tracing/trace_clock': '[local]', 'tracing/instances/README': '' });
  const { system, requests } = fakeSystem(t, `debugfs ${debug} debugfs rw 0 0\n`);
  assert.equal(findTracefs({ mayMount: true }, system), join(debug, 'tracing'));
  assert.deepEqual(requests, []);
});

test('without tracefs it mounts only if it may, and says what to do', (t) => {
  const { system, requests } = fakeSystem(t, 'proc /proc proc rw 0 0\n');
  assert.throws(() => findTracefs({ mayMount: false }, system), /mount -t tracefs.*--path\.tracefs/);
  assert.deepEqual(requests, []);
  assert.throws(() => findTracefs({ mayMount: true }, system), {
    name: 'KernelError',
    errno: 'EPERM',
    message: /permission denied/,
  });
  assert.deepEqual(requests, ['/sys/kernel/tracing']);
});

test('a given path is used or refused, never replaced', (t) => {
  const root = fakeTracefs(t, {});
  const { system } = fakeSystem(t, `nodev ${root} tracefs rw 0 0\n`);
  assert.equal(findTracefs({ path: root, mayMount: false }, system), root);
  assert.throws(() => findTracefs({ path: '/nonexistent', mayMount: true }, system), {
    errno: 'ENOENT',
    file: '/nonexistent/instances',
  });
  rmSync(join(root, 'trace_clock'));
  assert.throws(() => findTracefs({ path: root, mayMount: true }, system), /trace_clock: ENOENT/);
});

test('names lockdown and missing root among the reasons, but only if they apply', (t) => {
  const { system } = fakeSystem(t, '', 'none integrity [confidentiality]\n');
  assert.throws(() => findTracefs({ mayMount: false }, { ...system, uid: 1000 }), /locked down.*uid 1000/);
  writeFileSync(system.lockdownFile, 'none [integrity] confidentiality\n');
  assert.throws(
    () => findTracefs({ mayMount: false }, system),
    (error: Error) => !/locked down|uid/.test(error.message),
  );
});

test('an existing but empty directory is named as that, without advice that was followed already', (t) => {
  const { system } = fakeSystem(t, '');
  const empty = join(fakeTracefs(t, {}), 'empty');
  mkdirSync(empty);
  assert.throws(
    () => findTracefs({ path: empty, mayMount: false }, system),
    (error: Error) =>
      /is empty.*not mounted.*locked down/.test(error.message) && !/give --path/.test(error.message),
  );
});

test('lines of /proc/self/mounts that are cut short are skipped', () => {
  assert.deepEqual(parseMounts('a b\n\nnodev /a\\134b\\011c tracefs ro,x 0 0\n'), [
    { dir: '/a\\b\tc', type: 'tracefs', readOnly: true },
  ]);
});

test('names files as programs of the host see them, also in a container', () => {
  const files = ['/tracing', '/sys/kernel/tracing', '/sys/kernel/debug/tracing'].map((root) =>
    pathOnHost(root, 'instances', 'a', 'trace_marker'),
  );
  assert.deepEqual(files, [
    '/sys/kernel/tracing/instances/a/trace_marker',
    '/sys/kernel/tracing/instances/a/trace_marker',
    '/sys/kernel/debug/tracing/instances/a/trace_marker',
  ]);
});
