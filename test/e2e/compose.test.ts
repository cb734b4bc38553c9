/**
 * Checks deploy/compose without a container engine and a registry: docker-compose can read it, the files that it mounts
 * exist, and promtool and the agent accept their configs.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { BIN } from '../support/agent.ts';
import { skipWithout } from '../support/tools.ts';

const DIRECTORY = fileURLToPath(new URL('../../deploy/compose/', import.meta.url));

interface Compose {
  services: Record<string, { volumes?: string[]; cap_drop?: string[]; read_only?: boolean }>;
}

function output(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: DIRECTORY, encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${args.join(' ')}:\n${stdout}${stderr}`);
  return stdout;
}

describe('deploy/compose; NOT TRIED: starting it, because there is neither an engine nor a registry here', () => {
  const { services } = parse(readFileSync(join(DIRECTORY, 'compose.yaml'), 'utf8')) as Compose;

  it('is read by docker-compose', { skip: skipWithout('docker-compose', 'docker-compose') }, (t) => {
    t.diagnostic(output('docker-compose', '--version').trim());
    assert.deepEqual(
      output('docker-compose', '-f', 'compose.yaml', 'config', '--services').trim().split('\n').sort(),
      ['agent', 'collector', 'grafana', 'prometheus'],
    );
  });

  it('mounts files that are there', () => {
    const mounted = Object.values(services).flatMap(({ volumes = [] }) =>
      volumes.map((one) => one.split(':')[0]),
    );
    for (const path of mounted.filter((one) => one.startsWith('.')))
      assert.ok(existsSync(join(DIRECTORY, path)), path);
  });

  it('gives the agent no capability and a read-only root', () => {
    assert.deepEqual(services.agent.cap_drop, ['ALL']);
    assert.equal(services.agent.read_only, true);
  });

  it('has configs that Prometheus and the agent take', {
    skip: skipWithout('promtool', 'prometheus'),
  }, () => {
    output('promtool', 'check', 'config', '--syntax-only', 'prometheus.yaml');
    output(process.execPath, BIN, 'check-config', 'ftrace-exporter.yaml');
  });
});
