/** Makes a disk for one test file: a loop device, which is detached after the tests. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Bench, needTool } from './agent.ts';

const BYTES = 32 << 20;

export interface LoopDisk {
  /** `/dev/loop7` */
  path: string;
  name: string;
  /** The device number in events: `major << 20 | minor`. */
  dev: number;
}

export function makeLoopDisk(bench: Bench): LoopDisk {
  needTool('losetup', 'mount');
  const image = join(bench.directory, bench.instanceName('disk'));
  execFileSync('dd', ['if=/dev/zero', `of=${image}`, 'bs=1M', `count=${BYTES >> 20}`, 'status=none']);
  const path = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  bench.atEnd(() => execFileSync('losetup', ['--detach', path]));
  const name = basename(path);
  const [major, minor] = readFileSync(`/sys/block/${name}/dev`, 'latin1').split(':').map(Number);
  return { path, name, dev: major * 2 ** 20 + minor };
}
