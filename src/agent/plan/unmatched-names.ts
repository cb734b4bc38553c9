/** Finds names and globs in the config that match nothing, and returns a sentence for each. */
import { globMatcher } from '../../config/units/globs.ts';
import type { CommonOptions, HostFacts, KernelOffer, ProbeModule } from '../../probes/probe.ts';

/** `where`: what was searched, for messages, for example `this kernel`. */
export function unmatchedNames(
  { module, options }: { module: ProbeModule; options: CommonOptions },
  kernel: KernelOffer,
  host: HostFacts,
  where: string,
): string[] {
  return (module.names?.(options, kernel, host) ?? []).flatMap(({ key, globs, kind, offered }) => {
    if (offered === undefined) return [];
    return globs
      .filter((glob) => !offered.some(globMatcher([glob])))
      .map((glob) => `${key}: no ${kind} of ${where} matches ${JSON.stringify(glob)}`);
  });
}
