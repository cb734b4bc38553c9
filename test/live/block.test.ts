/**
 * Uses a loop device of its own: the agent's counts must equal the disk's statistics in /sys/block/NAME/stat, also for
 * requests that are split, merged or flushed. Columns: Documentation/block/stat.rst.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { type Agent, makeBench, needTool, type Scrape, settled } from '../support/agent.ts';

const bench = makeBench('block');
const DISK_BYTES = 32 << 20;
const KIB = 1024;
const SECTOR = 512;

interface DiskStat {
  reads: number;
  readBytes: number;
  writes: number;
  writeBytes: number;
  flushes: number;
  readMerges: number;
  writeMerges: number;
}

describe('a disk of our own', () => {
  let device = '';
  let name = '';
  let agent: Agent;

  before(async () => {
    needTool('losetup', 'mount');
    needTool('dd', 'coreutils');
    const image = join(bench.directory, 'disk.img');
    execFileSync('dd', ['if=/dev/zero', `of=${image}`, 'bs=1M', `count=${DISK_BYTES >> 20}`, 'status=none']);
    device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
    bench.atEnd(() => execFileSync('losetup', ['--detach', device]));
    name = basename(device);
    // Without probes that other programs keep busy, so few events are recorded that none can be lost.
    const off = { enabled: false };
    agent = await bench.start({
      probes: { sched: off, irq: off, softirq: off, block: { devices: [name] } },
    });
  });

  const stat = (): DiskStat => {
    const n = readFileSync(`/sys/block/${name}/stat`, 'utf8').trim().split(/\s+/).map(Number);
    return {
      reads: n[0],
      readMerges: n[1],
      readBytes: n[2] * SECTOR,
      writes: n[4],
      writeMerges: n[5],
      writeBytes: n[6] * SECTOR,
      flushes: n[15] ?? 0,
    };
  };
  const dd = (...operands: string[]) => execFileSync('dd', [...operands, 'status=none']);
  const write = (size: number, count: number, ...more: string[]) =>
    dd('if=/dev/zero', `of=${device}`, `bs=${size}`, `count=${count}`, 'oflag=direct', ...more);
  const read = (size: number, count: number, ...more: string[]) =>
    dd(`if=${device}`, 'of=/dev/null', `bs=${size}`, `count=${count}`, 'iflag=direct', ...more);

  interface Seen {
    disk: DiskStat;
    /** Number of completed requests; `bytes`: their size. */
    served(operation: string): number;
    bytes(operation: string): number;
    errors: number;
  }

  /** Returns what the disk and the agent count during `work`. */
  async function observe(work: () => void): Promise<Seen> {
    const [scrapeBefore, diskBefore] = [await agent.scrape(), stat()];
    work();
    const diskBehind = stat();
    const bytesOf = (scrape: Scrape) => scrape.sum('ftrace_block_io_bytes_total', { device: name });
    const moved = diskBehind.readBytes + diskBehind.writeBytes - diskBefore.readBytes - diskBefore.writeBytes;
    const scrape = await settled(agent, (now) => bytesOf(now) - bytesOf(scrapeBefore) >= moved);
    assert.equal(scrape.sum('ftrace_exporter_events_lost_total'), 0);
    const grown = (metric: string, labels: Record<string, string>) =>
      scrape.sum(metric, { device: name, ...labels }) - scrapeBefore.sum(metric, { device: name, ...labels });
    const disk = Object.fromEntries(
      Object.entries(diskBehind).map(([key, count]) => [key, count - diskBefore[key as keyof DiskStat]]),
    ) as unknown as DiskStat;
    return {
      disk,
      served: (operation) => grown('ftrace_block_io_device_seconds_count', { operation }),
      bytes: (operation) => grown('ftrace_block_io_bytes_total', { operation }),
      errors: grown('ftrace_block_io_errors_total', {}),
    };
  }

  /** `carriers`: requests that only ask for a flush. The disk counts them as writes, but they are never issued. */
  function assertEqualCounts({ disk, served, bytes, errors }: Seen, carriers = 0): void {
    assert.deepEqual(
      {
        reads: served('read'),
        readBytes: bytes('read'),
        writes: served('write'),
        writeBytes: bytes('write'),
        flushes: served('flush'),
        errors,
      },
      {
        reads: disk.reads,
        readBytes: disk.readBytes,
        writes: disk.writes - carriers,
        writeBytes: disk.writeBytes,
        flushes: disk.flushes,
        errors: 0,
      },
    );
  }

  it('direct writes and reads of one size are counted one by one', async () => {
    const seen = await observe(() => {
      write(16 * KIB, 100);
      read(64 * KIB, 50);
    });
    assert.deepEqual([seen.disk.writes, seen.disk.reads], [100, 50], 'somebody else uses the disk');
    assertEqualCounts(seen);
  });

  it('a flush at each fsync', async () => {
    const FSYNCS = 20;
    const seen = await observe(() => {
      const fd = openSync(device, 'r+');
      try {
        for (let i = 0; i < FSYNCS; i++) {
          writeSync(fd, Buffer.alloc(4 * KIB, i), 0, 4 * KIB, i * 64 * KIB);
          fsyncSync(fd);
        }
      } finally {
        closeSync(fd);
      }
    });
    assert.equal(seen.disk.flushes, FSYNCS);
    assertEqualCounts(seen, FSYNCS);
  });

  it('requests that are larger than the device takes are split', async () => {
    const largest = Number(readFileSync(`/sys/block/${name}/queue/max_sectors_kb`, 'utf8')) * KIB;
    const size = 8 << 20;
    const seen = await observe(() => {
      write(size, 2);
      read(size, 3);
    });
    assert.ok(largest < size, `the device takes ${largest} bytes at once`);
    assert.ok(seen.disk.writes > 2 && seen.disk.reads > 3, 'nothing was split');
    assert.equal(seen.bytes('write'), 2 * size);
    assert.equal(seen.bytes('read'), 3 * size);
    assertEqualCounts(seen);
  });

  it('buffered writes of many sizes are merged and written back, with a flush at the end', async () => {
    const seen = await observe(() => {
      const fd = openSync(device, 'r+');
      try {
        let at = 0;
        for (let i = 0; i < 400; i++) {
          const size = (1 + ((i * 7) % 13)) * 4 * KIB;
          at = i % 3 === 0 ? (at + 256 * KIB) % (DISK_BYTES - 64 * KIB) : at;
          writeSync(fd, Buffer.alloc(size, i), 0, size, at);
          at += size;
        }
      } finally {
        closeSync(fd);
      }
      dd('if=/dev/zero', `of=${device}`, 'bs=4096', 'count=1', 'conv=fsync,notrunc');
    });
    assert.ok(seen.disk.writes > 0 && seen.disk.flushes === 1, JSON.stringify(seen.disk));
    assertEqualCounts(seen, 1);
  });

  it('read-ahead merges what is read in small pieces', async () => {
    const seen = await observe(() => {
      execFileSync('blockdev', ['--flushbufs', device]);
      dd(`if=${device}`, 'of=/dev/null', 'bs=4k', 'count=2048');
    });
    assert.ok(seen.disk.reads > 0 && seen.disk.reads < 2048, `${seen.disk.reads} reads`);
    assertEqualCounts(seen);
  });

  it('every request has found its pair, and the agent leaves nothing behind', async () => {
    const scrape = await agent.scrape();
    assert.equal(scrape.sum('ftrace_exporter_unmatched_total', { probe: 'block' }), 0);
    assert.equal(scrape.sum('ftrace_exporter_decode_errors_total'), 0);
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
});
