/** Who else uses the tracer: facts for `doctor`, read only. */
import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../model/errors.ts';
import { tryReadText } from './files.ts';

export interface TracingUse {
  /** Tracer of the top level; `nop` when nobody uses it, '' when it cannot be read. */
  topLevelTracer: string;
  /** Names of all instances. */
  instances: string[];
  /** Why no instance can be made, as an errno; '' when one can. */
  instancesRefused: string;
}

export function tracingUse(root: string): TracingUse {
  const dir = join(root, 'instances');
  const topLevelTracer = (tryReadText(join(root, 'current_tracer')) ?? '').trim();
  try {
    const instances = readdirSync(dir).sort();
    accessSync(dir, constants.W_OK);
    return { topLevelTracer, instances, instancesRefused: '' };
  } catch (error) {
    return { topLevelTracer, instances: [], instancesRefused: errnoOf(error) || 'failed' };
  }
}
