/**
 * Tests the systemd unit: systemd-analyze checks it, and a private systemd runs it with all its restrictions. Checks
 * what it serves, what it cannot write, what remains after a kill, and the drop-in for the top level.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, needTool, parseScrape, type Scrape, TRACEFS } from '../support/agent.ts';
import { countsExactly } from '../support/exactly.ts';
import { topLevelTurn } from '../support/top-level.ts';
import { watch } from '../support/witness.ts';
import { type PrivateSystemd, SHIPPED, startSystemd } from './private-systemd.ts';

const bench = makeBench('systemd');
const CALLS = 100_000;
const TIMEOUT_MS = 30_000;
const unit = join(SHIPPED, 'ftrace-exporter.service');
const topLevelConf = readFileSync(join(SHIPPED, 'top-level.conf'), 'utf8');
const docs = readFileSync(new URL('../../docs/systemd.md', import.meta.url), 'utf8');
const instance = bench.instanceName('s');
const directory = join(TRACEFS, 'instances', instance);

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `not within ${TIMEOUT_MS} ms: ${what}`);
    await sleep(100);
  }
}

const topTracer = () => readFileSync(join(TRACEFS, 'current_tracer'), 'utf8').trim();

const busy = await topLevelTurn();

describe('the unit for systemd', () => {
  let systemd: PrivateSystemd;
  let version = '';
  let url = '';

  before(async () => {
    needTool('systemd-analyze', 'systemd');
    version =
      /^systemd (\d+)/.exec(execFileSync('systemd-analyze', ['--version'], { encoding: 'utf8' }))?.[1] ?? '';
    systemd = await startSystemd(bench);
    // Use the shipped files, but with another instance name and port, and with a syscall whose calls can be counted.
    appendFileSync(join(systemd.etc, 'ftrace-exporter.yaml'), '\n  syscalls: { include: ["getppid"] }\n');
    appendFileSync(
      join(systemd.etc, 'environment'),
      `\nFTRACE_EXPORTER_INSTANCE=${instance}\nFTRACE_EXPORTER_WEB_LISTEN_ADDRESS=127.0.0.1:0\n`,
    );
  });

  const systemctl = (...args: string[]) => systemd.run('systemctl', ...args, 'ftrace-exporter');

  /** Starts the service, or waits for its restart, until it serves metrics. Returns what it has logged meanwhile. */
  async function ready(command?: 'start' | 'restart'): Promise<string> {
    let log = '';
    if (command !== undefined) {
      systemd.log();
      const { status, output } = systemctl(command);
      assert.equal(status, 0, output);
    }
    await until('it serves metrics', () => {
      log += systemd.log();
      return /serving metrics.*url=http/.test(log);
    });
    url = /serving metrics.*?url=(http:\/\/[^\s/]+)/.exec(log)?.[1] ?? '';
    return log;
  }
  const scrape = async (): Promise<Scrape> => parseScrape(await (await fetch(`${url}/metrics`)).text());
  /** Host pid of the service's main process. Finds it by its control group and its pid inside the namespace. */
  const mainPid = () => {
    const inside = systemd.show('MainPID');
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const matches = pids.filter((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
        return (
          cgroup.includes('/ftrace-exporter.service') &&
          new RegExp(`^NSpid:.*\\t${inside}$`, 'm').test(status)
        );
      } catch {
        return false;
      }
    });
    assert.equal(matches.length, 1, `processes of the service: ${matches}`);
    return Number(matches[0]);
  };

  it('is accepted by systemd-analyze verify', (t) => {
    const { status, output } = systemd.run('systemd-analyze', 'verify', '/run/units/ftrace-exporter.service');
    assert.equal(output, '');
    assert.equal(status, 0);
    t.diagnostic(`systemd-analyze ${version}: nothing to say about the unit`);
  });

  it('has the score of systemd-analyze security that the docs state', (t) => {
    const output = execFileSync('systemd-analyze', ['security', '--offline=true', '--no-pager', unit], {
      encoding: 'utf8',
    });
    const score = /Overall exposure level for ftrace-exporter\.service: ([\d.]+) (\w+)/.exec(output);
    assert.ok(score !== null, output);
    t.diagnostic(`systemd-analyze ${version}: ${score[1]} ${score[2]}`);
    const documented = /\*\*([\d.]+) OK\*\* with systemd (\d+)/.exec(docs);
    assert.ok(documented !== null, 'docs/systemd.md tells no score');
    if (version === documented[2]) assert.equal(score[1], documented[1]);
    else assert.ok(Number(score[1]) <= 2, `${score[1]} with systemd ${version}`);
    // The docs explain each point of the score, and no other.
    const marked = output.split('\n').flatMap((line) => /^✗ (\S+)/.exec(line)?.[1] ?? []);
    const explained = [...docs.matchAll(/^\| `([^`]+)` \| [\d.]+ \|/gm)].map(([, name]) =>
      name.replace('\\|', '|'),
    );
    if (version === documented[2]) assert.deepEqual([...explained].sort(), [...marked].sort());
  });

  it('runs without capabilities, as root of a user namespace, and counts exactly', async (t) => {
    await ready('start');
    const pid = mainPid();
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    for (const [field, value] of [
      ['CapEff', '0000000000000000'],
      ['CapBnd', '0000000000000000'],
      ['NoNewPrivs', '1'],
      ['Seccomp', '2'],
    ])
      assert.match(status, new RegExp(`^${field}:\\s+${value}$`, 'm'), status);
    assert.match(readFileSync(`/proc/${pid}/uid_map`, 'utf8'), /^\s*0\s+0\s+1\n$/);

    const workload = await bench.workload(
      `const work = () => { for (let i = 0; i < ${CALLS}; i++) process.ppid; };`,
    );
    const others = watch(bench, ['getppid'], { not: [workload.pid] });
    const calls = (one: Scrape) => one.sum('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' });
    const work = async () => {
      await workload.run();
      return CALLS;
    };
    const { last } = await countsExactly({ t, agent: { scrape }, others, counted: calls, work });
    for (const probe of ['sched', 'block', 'irq', 'softirq', 'syscalls'])
      assert.equal(last.sum('ftrace_exporter_probe_up', { probe }), 1, probe);
    others.remove();
    await workload.end();
    t.diagnostic(`systemd ${version}: ${CALLS} calls counted exactly, no event lost, all probes up`);
    for (const [controller, key] of [
      ['memory', 'MemoryMax='],
      ['pids', 'TasksMax='],
    ])
      if (!systemd.controls(controller))
        t.diagnostic(`NOT TRIED: ${key}, this machine has no controller ${controller} of version 2`);
  });

  it('can write its instances and nothing else', () => {
    const write = (file: string) => {
      const args = [`--target=${mainPid()}`, '--mount', '--user', 'sh', '-c', `: >>"${file}"`];
      try {
        execFileSync('nsenter', args, { encoding: 'utf8', stdio: 'pipe' });
        return 'written';
      } catch (error) {
        return /Read-only file system|Permission denied/.exec(String(error))?.[0] ?? String(error);
      }
    };
    assert.equal(write(join(directory, 'trace_marker')), 'written');
    assert.equal(write('/run/ftrace-exporter/x'), 'written');
    for (const file of [
      ...['kprobe_events', 'uprobe_events', 'current_tracer', 'tracing_on', 'set_event'].map((name) =>
        join(TRACEFS, name),
      ),
      ...['/etc/x', '/opt/ftrace-exporter/x', '/var/x', '/proc/sys/kernel/panic', '/sys/block/x'],
      '/sys/devices/system/cpu/cpu0/uevent',
    ])
      if (file.startsWith('/etc') || existsSync(file) || file.endsWith('/x'))
        assert.equal(write(file), 'Read-only file system', file);
  });

  it('is put in order and started again after a kill', async (t) => {
    systemd.log();
    process.kill(mainPid(), 'SIGKILL');
    const log = await ready();
    assert.match(log, new RegExp(`removed the instance ${instance}`));
    assert.equal(systemd.show('NRestarts'), '1');
    t.diagnostic('after SIGKILL: ExecStopPost= removed the instance, Restart= started it again');
  });

  it('ends with nothing left in the kernel', () => {
    systemctl('stop');
    assert.equal(systemd.show('Result'), 'success');
    assert.equal(systemd.show('ActiveState'), 'inactive');
    assert.ok(!existsSync(directory), 'its instance is left');
  });

  it('is not started again with a config that is wrong', async () => {
    const file = join(systemd.etc, 'ftrace-exporter.yaml');
    const good = readFileSync(file, 'utf8');
    writeFileSync(file, 'probez: {}\n');
    systemd.log();
    systemctl('start');
    await until('it has failed', () => systemd.show('ActiveState') === 'failed');
    assert.equal(systemd.show('ExecMainStatus'), '2');
    assert.match(systemd.log(), /probez/);
    writeFileSync(file, good);
    systemctl('reset-failed');
  });

  describe('with a tracer of the top level', { skip: busy ?? false }, () => {
    const up = async () => (await scrape()).sum('ftrace_exporter_probe_up', { probe: 'blk' });

    before(() => appendFileSync(join(systemd.etc, 'ftrace-exporter.yaml'), '  blk: {}\n'));

    it('refuses it without top-level.conf', async () => {
      assert.match(await ready('restart'), /probe=blk reason="cannot write .*EROFS/);
      assert.equal(await up(), 0);
      assert.equal(topTracer(), 'nop');
    });

    it('refuses blk without /sys/devices', async () => {
      systemd.dropIn('top-level.conf', topLevelConf);
      assert.match(await ready('restart'), /probe=blk reason=".*\/sys\/devices/);
      assert.equal(await up(), 0);
      assert.equal(topTracer(), 'nop');
    });

    it('runs it with both, and puts all back, also after a kill', async (t) => {
      systemd.dropIn('top-level.conf', topLevelConf.replace(/^#(?=ReadWritePaths)/m, ''));
      await ready('restart');
      assert.equal(await up(), 1);
      assert.equal(topTracer(), 'blk');
      const journal = `/run/ftrace-exporter/${instance}.journal.json`;
      assert.equal(systemd.run('test', '-f', journal).status, 0, 'no journal');
      // If the service is killed and not restarted, ExecStopPost= must restore the top level.
      systemd.dropIn('no-restart.conf', '[Service]\nRestart=no\n');
      process.kill(mainPid(), 'SIGKILL');
      await until('it is over', () => systemd.show('ActiveState') === 'failed');
      assert.equal(topTracer(), 'nop', systemd.log());
      assert.equal(systemd.run('test', '-e', journal).status, 1, 'the journal is left');
      assert.ok(!existsSync(directory), 'its instance is left');
      systemd.dropIn('no-restart.conf', undefined);
      await ready('restart');
      assert.equal(topTracer(), 'blk');
      systemctl('stop');
      assert.equal(topTracer(), 'nop');
      t.diagnostic(`systemd ${version}, top-level.conf: blk up; put back at the end and after SIGKILL`);
    });
  });
});
