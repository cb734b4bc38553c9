/** Removes instances that killed agents left: their recording has stopped, but armed tracepoints go on costing. */
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../model/errors.ts';
import { refusal } from './files.ts';

/**
 * Removes the instances with these names: whole names, for another tool's may begin with the same letters. What a
 * live agent holds is left alone and comes back as `busy`. Throws `KernelError`.
 */
export function cleanup(root: string, names: readonly string[]): { removed: string[]; busy: string[] } {
  const removed: string[] = [];
  const busy: string[] = [];
  for (const name of instanceNames(root)) {
    if (!names.includes(name)) continue;
    const dir = join(root, 'instances', name);
    try {
      rmdirSync(dir);
      removed.push(name);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EBUSY') busy.push(name);
      else if (errno !== 'ENOENT') throw refusal(error, { file: dir, action: 'remove' });
    }
  }
  return { removed, busy };
}

function instanceNames(root: string): string[] {
  const dir = join(root, 'instances');
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    throw refusal(error, { file: dir, action: 'list' });
  }
}
