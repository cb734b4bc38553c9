/** Finds other users of ftrace. Writes nothing. */
import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../model/errors.ts';
import { tryReadText } from './files.ts';

export interface TracingUse {
  /** Tracer of the top level. `nop` if none runs; '' if it cannot be read. */
  topLevelTracer: string;
  instances: string[];
  /** The errno if instances cannot be created; '' if they can. */
  instancesRefused: string;
}

export function tracingUse(root: string): TracingUse {
  const dir = join(root, 'instances');
  const topLevelTracer = (tryReadText(join(root, 'current_tracer')) ?? '').trim();
  let instances: string[] = [];
  try {
    instances = readdirSync(dir).sort();
    accessSync(dir, constants.W_OK);
    return { topLevelTracer, instances, instancesRefused: '' };
  } catch (error) {
    return { topLevelTracer, instances, instancesRefused: errnoOf(error) || 'failed' };
  }
}

/** Returns the directories of the top level and of all instances. Omits the instances if they cannot be listed. */
export function tracingDirs(root: string): string[] {
  const instances = join(root, 'instances');
  try {
    return [root, ...readdirSync(instances).map((name) => join(instances, name))];
  } catch {
    return [root];
  }
}
