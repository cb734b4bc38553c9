import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLivePages } from '../../../src/tracefs/pages.ts';
import { fakeTracefs } from './fake.ts';

const raw = (cpu: number) => `per_cpu/cpu${cpu}/trace_pipe_raw`;

test('follows CPUs: opens new ones, reads those that went to their end, then closes them', (t) => {
  const dir = fakeTracefs(t, {
    online: '0-1,3\n',
    [raw(0)]: 'aaaaAAAA',
    [raw(1)]: 'bbbbBBBB',
    [raw(2)]: 'cccc',
    [raw(3)]: 'dddd',
  });
  const online = join(dir, 'online');
  const pages = openLivePages(dir, 4, online);
  t.after(() => pages.close());
  const into = new Uint8Array(16);
  const read = (cpu: number) => Buffer.from(into.subarray(0, pages.readPage(cpu, into))).toString();
  const opened = () => {
    const fds = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    });
    return fds
      .filter((file) => file.startsWith(dir))
      .map((file) => /cpu(\d+)/.exec(file)?.[1])
      .sort();
  };

  assert.deepEqual(pages.cpus(), [0, 1, 3]);
  assert.deepEqual([read(0), read(0), read(0), read(2)], ['aaaa', 'AAAA', '', '']);

  writeFileSync(online, '0,2\n');
  pages.refresh();
  assert.deepEqual(pages.cpus(), [0, 1, 2, 3]);
  // CPU 1 went offline with unread pages, so it stays in the list until all of them have been read.
  pages.refresh();
  assert.deepEqual(pages.cpus(), [0, 1, 2, 3]);
  assert.deepEqual([read(1), read(1), read(1)], ['bbbb', 'BBBB', '']);
  assert.deepEqual([read(3), read(2)], ['dddd', 'cccc']);
  pages.refresh();
  assert.deepEqual(pages.cpus(), [0, 2, 3]);
  assert.deepEqual(opened(), ['0', '2', '3']);

  // CPU 3 comes back online before all its pages were read, and CPU 1 after that.
  writeFileSync(online, '0-3\n');
  pages.refresh();
  assert.equal(read(3), '');
  pages.refresh();
  assert.deepEqual(pages.cpus(), [0, 1, 2, 3]);

  pages.close();
  assert.deepEqual(pages.cpus(), []);
  assert.deepEqual(opened(), []);
  assert.equal(read(0), '');
});

test('reads several pages at once, and fewer if there are no more', (t) => {
  const dir = fakeTracefs(t, { online: '0\n', [raw(0)]: 'aaaabbbbcccc' });
  const pages = openLivePages(dir, 4, join(dir, 'online'));
  t.after(() => pages.close());
  const into = [new Uint8Array(4), new Uint8Array(4)];
  assert.deepEqual([pages.readPages(0, into), String(Buffer.concat(into))], [8, 'aaaabbbb']);
  assert.deepEqual([pages.readPages(0, into), String(Buffer.concat(into))], [4, 'ccccbbbb']);
  assert.equal(pages.readPages(0, into), 0);
  assert.equal(pages.readPages(1, into), 0);
});

test('an empty read while online does not count once the CPU is offline', (t) => {
  const dir = fakeTracefs(t, { online: '0-1\n', [raw(0)]: '', [raw(1)]: '' });
  const pages = openLivePages(dir, 4, join(dir, 'online'));
  t.after(() => pages.close());
  const into = new Uint8Array(4);
  assert.equal(pages.readPage(1, into), 0);
  writeFileSync(join(dir, 'online'), '0\n');
  pages.refresh();
  writeFileSync(join(dir, raw(1)), 'late');
  pages.refresh();
  assert.equal(pages.readPage(1, into), 4);
});

test('a CPU that came back is read to its end again when it goes the next time', (t) => {
  const dir = fakeTracefs(t, { online: '0\n', [raw(0)]: '', [raw(1)]: '' });
  const online = join(dir, 'online');
  const be = (list: string) => {
    writeFileSync(online, list);
    pages.refresh();
  };
  const into = new Uint8Array(4);
  const pages = openLivePages(dir, 4, online);
  t.after(() => pages.close());
  be('0-1\n');
  be('0\n');
  assert.equal(pages.readPage(1, into), 0);
  be('0-1\n');
  be('0\n');
  writeFileSync(join(dir, raw(1)), 'late');
  pages.refresh();
  assert.deepEqual(pages.cpus(), [0, 1]);
  assert.equal(pages.readPage(1, into), 4);
});

test('a file that cannot be opened or read is an error that names it', (t) => {
  const dir = fakeTracefs(t, { online: '0-1\n', [raw(0)]: '', [`${raw(1)}/directory`]: '' });
  const into = new Uint8Array(4);
  const pages = openLivePages(dir, 4, join(dir, 'online'));
  t.after(() => pages.close());
  assert.throws(() => pages.readPage(1, into), { errno: 'EISDIR', file: join(dir, raw(1)) });
  writeFileSync(join(dir, 'online'), '0-2\n');
  assert.throws(() => openLivePages(dir, 4, join(dir, 'online')), {
    errno: 'ENOENT',
    file: join(dir, raw(2)),
  });
});
