/** Finds variables whose name is only a participle or preposition, in the syntax tree of SWC. */
import { parseSync } from '@swc/core';

const NO_NOUN = /^(of|told|found|known|kept|left|asked|taken|given|said|met)$/;

/** Checks variables, parameters and names in destructuring patterns. Returns lines that say what to do. */
export function namesWithoutNoun(file: string, source: string): string[] {
  // SWC's positions go on from one source to the next, and a tree starts at its first token. The `;` is at offset 0.
  const text = Buffer.from(`;${source}`);
  const tree = parseSync(text.toString(), { syntax: 'typescript', target: 'esnext' });
  const findings: string[] = [];
  const visit = (node: unknown, isBound: boolean): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, value, span } = node as { type?: string; value?: unknown; span?: { start: number } };
    if (type === 'Identifier' && isBound && typeof value === 'string' && NO_NOUN.test(value) && span) {
      const line = text
        .subarray(0, span.start - tree.span.start)
        .toString('latin1')
        .split('\n').length;
      findings.push(`${file}:${line}: rename the variable "${value}" to a noun that says what it holds`);
    }
    const isShorthand = type === 'AssignmentPatternProperty';
    for (const [key, child] of Object.entries(node)) {
      const isName = /^(id|pat|params?)$/.test(key) || (isShorthand && key === 'key');
      visit(child, isName || (isBound && !isShorthand && !/^(right|key|typeAnnotation)$/.test(key)));
    }
  };
  visit(tree.body, false);
  return findings;
}
