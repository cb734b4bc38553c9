/**
 * Names in the config that match nothing here: a probe's lists of names and what they can match, in; a sentence for each
 * name that matches none of it, out. Probes declare their lists (`ProbeModule.names`), so this is done once for all.
 */
import { globMatcher } from '../../config/units/globs.ts';
import type { CommonOptions, HostFacts, KernelOffer, ProbeModule } from '../../probes/probe.ts';

/** `where`: what is searched, as in `this kernel`. */
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
