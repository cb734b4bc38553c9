/**
 * Events that a program defines (user_events): they count exactly, by their fields, with both readers and in the kernel;
 * a program's `traceparent` makes its slow calls part of its trace.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { BUILT } from '../tracers.ts';
import { endWell, KERNEL, type RunningAgent, startAgent, TRACEFS, until } from './lab.ts';
import { registerUserEvent, type UserEvent } from './user-event.ts';

const EVENT = 'user_events:lab_hit';
const N = 250;
const OFF = Object.fromEntries(
  ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]),
);
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00000000000000b1';
const has = existsSync(join(TRACEFS, 'user_events_data'));

/** Fields of a user event lie without gaps, so `bytes` is at an odd multiple of four. */
function hit(kind: number, bytes: bigint, place: string): Buffer {
  const fields = Buffer.alloc(21);
  fields.writeUInt8(7, 0);
  fields.writeUInt32LE(kind, 1);
  fields.writeBigUInt64LE(bytes, 5);
  fields.write(place, 13);
  return fields;
}

let running: RunningAgent | undefined;
/** An agent that a failed check leaves would be in the way of the next one. */
async function started(config: string): Promise<RunningAgent> {
  running = await startAgent(config);
  return running;
}
afterEach(() => void running?.child.kill('SIGKILL'));

describe('user_events', () => {
  it('the kernel that is built with them has them', { skip: KERNEL !== BUILT }, () => assert.ok(has));
});

describe('events of a program', { skip: has ? false : `only ${BUILT} is built with user_events` }, () => {
  let program: UserEvent;
  before(async () => {
    program = await registerUserEvent('lab_hit u8 flag;u32 kind;u64 bytes;char[8] place');
  });
  after(() => program.end());

  it('have a format with the fields that it named', () => {
    const format = readFileSync(join(TRACEFS, 'events/user_events/lab_hit/format'), 'utf8');
    assert.match(format, /field:u64 bytes;\s+offset:13;\s+size:8;\s+signed:0;/, format);
    assert.match(format, /field:char place\[8?\];\s+offset:21;\s+size:8;/, format);
  });

  for (const reader of ['raw', 'trace_pipe'])
    it(`count exactly, by their fields, read by ${reader}`, async () => {
      assert.equal(await program.write(1, hit(1, 1n, 'a')), false, 'somebody has enabled it');
      const labels = { kind: { field: 'kind', as: 'number' }, place: { field: 'place', as: 'text' } };
      const metrics = [
        { name: 'hits_total', help: 'A.', event: EVENT, labels },
        { name: 'hit_bytes_total', help: 'A.', event: EVENT, sum: { field: 'bytes', unit: 'bytes' } },
      ];
      const probes = { ...OFF, events: { count: [EVENT] } };
      const agent = await started(JSON.stringify({ instance: 'lab-user', reader, probes, metrics }));
      assert.equal(await program.write(N, hit(3, 4_000_000_000n, 'here')), true);
      assert.equal(await program.write(2 * N, hit(4, 5n, 'there')), true);
      const count = async () => (await agent.scrape()).sum('ftrace_events_total', { event: EVENT });
      await until(async () => (await count()) >= 3 * N, 'all are counted');
      const scrape = await agent.scrape();
      assert.equal(await count(), 3 * N);
      assert.equal(scrape.sum('ftrace_hits_total', { kind: '3', place: 'here' }), N);
      assert.equal(scrape.sum('ftrace_hits_total', { kind: '4', place: 'there' }), 2 * N);
      assert.equal(scrape.sum('ftrace_hits_total'), 3 * N);
      assert.equal(scrape.sum('ftrace_hit_bytes_total'), N * 4_000_000_000 + 2 * N * 5);
      await endWell(agent);
      assert.equal(await program.write(1, hit(1, 1n, 'a')), false, 'it is enabled after the agent');
    });

  it('count exactly in the kernel', async () => {
    const labels = { kind: { field: 'kind', as: 'number' } };
    const metrics = [{ name: 'hits_total', help: 'A.', event: EVENT, labels, count_in: 'kernel' }];
    const agent = await started(JSON.stringify({ instance: 'lab-user', probes: OFF, metrics }));
    assert.equal(await program.write(N, hit(3, 1n, 'here')), true);
    assert.equal((await agent.scrape()).sum('ftrace_hits_total', { kind: '3' }), N);
    await endWell(agent, { reads: false });
  });

  it('that ends go with it, and the agent goes on', async () => {
    const brief = await registerUserEvent('lab_brief u32 kind');
    const event = 'user_events:lab_brief';
    const agent = await started(
      JSON.stringify({ instance: 'lab-user', probes: { ...OFF, events: { count: [event, EVENT] } } }),
    );
    await brief.write(N, Buffer.from([1, 0, 0, 0]));
    await brief.end();
    assert.equal(await program.write(N, hit(1, 1n, 'a')), true);
    for (const name of [event, EVENT])
      await until(
        async () => (await agent.scrape()).sum('ftrace_events_total', { event: name }) === N,
        `${name} counts ${N}`,
      );
    await endWell(agent);
    await until(
      () => !readdirSync(join(TRACEFS, 'events/user_events')).includes('lab_brief'),
      'the kernel has removed it',
    );
  });

  it('named traceparent make a slow call part of the trace of the program', async () => {
    const marker = await registerUserEvent('traceparent char[56] traceparent;u8 begin');
    const spans = { kinds: { syscalls: { threshold: '50ms', include: ['select', 'pselect6'] } } };
    const agent = await started(JSON.stringify({ instance: 'lab-user', probes: OFF, spans }));
    const write = (begin: number) =>
      marker.write(1, Buffer.concat([Buffer.from(`00-${TRACE}-${SPAN}-01\0`), Buffer.from([begin])]));
    assert.equal(await write(1), true);
    await marker.sleep(100);
    assert.equal(await write(0), true);
    await marker.sleep(120);
    interface Root {
      traceId: string;
      parentSpanId: string;
      durationSeconds: number;
    }
    let roots: Root[] = [];
    await until(async () => {
      const { body } = await agent.get('/api/v1/slow?kind=syscalls&limit=20');
      roots = (JSON.parse(body) as { last: Root[] }).last;
      return roots.length >= 2;
    }, 'both sleeps are traces');
    const [inside] = roots.filter(({ traceId }) => traceId === TRACE);
    assert.equal(inside?.parentSpanId, SPAN, JSON.stringify(roots).slice(0, 2000));
    assert.equal(roots.filter(({ traceId }) => traceId === TRACE).length, 1);
    await endWell(agent);
    await marker.end();
  });
});
