/** Measures functions and files, from the syntax tree of SWC. */
import { parseSync } from '@swc/core';

export const MAX_FUNCTION_LINES = 100;
export const MAX_FILE_LINES = 400;
/** The text reader may have longer functions, because they are loops over bytes with their state in local variables. */
const TEXT_READER = /^src\/(decode\/text|tracetext)\//;

const FUNCTIONS =
  /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression|ClassMethod|PrivateMethod|Constructor|MethodProperty|GetterProperty|SetterProperty)$/;

export interface FunctionLength {
  name: string;
  /** First line, from 1. */
  line: number;
  lines: number;
}

/** All functions of a TypeScript source, including nested ones. */
export function functionsIn(source: string): FunctionLength[] {
  // SWC's positions go on from one source to the next, and a tree starts at its first token. The `;` is at offset 0.
  const text = Buffer.from(`;${source}`);
  const tree = parseSync(text.toString(), { syntax: 'typescript', target: 'esnext' });
  const lineAt = (position: number): number =>
    text
      .subarray(0, position - tree.span.start)
      .toString('latin1')
      .split('\n').length;
  const functions: FunctionLength[] = [];
  const visit = (node: unknown, outer: string): void => {
    if (Array.isArray(node)) for (const child of node) visit(child, outer);
    if (!isNode(node)) return;
    const name = nameOf(node) ?? outer;
    const span = node.span ?? node.function?.span;
    if (FUNCTIONS.test(String(node.type)) && span !== undefined) {
      const line = lineAt(span.start);
      functions.push({ name, line, lines: lineAt(span.end - 1) - line + 1 });
    }
    for (const child of Object.values(node)) visit(child, name);
  };
  visit(tree.body, '');
  return functions;
}

/** Findings as lines that say what to do. */
export function tooLong(file: string, source: string): string[] {
  const findings: string[] = [];
  const lines = source.split('\n').length - 1;
  if (lines > MAX_FILE_LINES)
    findings.push(
      `${file} has ${lines} lines, at most ${MAX_FILE_LINES}: move a part with a name of its own to another file`,
    );
  if (TEXT_READER.test(file)) return findings;
  for (const { name, line, lines } of functionsIn(source))
    if (lines > MAX_FUNCTION_LINES)
      findings.push(
        `${file}:${line}: ${name} has ${lines} lines, at most ${MAX_FUNCTION_LINES}: give the jobs in it functions with names`,
      );
  return findings;
}

interface Span {
  start: number;
  end: number;
}

interface Node extends Record<string, unknown> {
  type?: unknown;
  span?: Span;
  function?: { span?: Span };
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The name that a node gives to the function in it. */
function nameOf(node: Node): string | undefined {
  for (const holder of [node.identifier, node.id, node.key]) {
    const name = isNode(holder)
      ? (holder.value ?? (isNode(holder.id) ? holder.id.value : undefined))
      : undefined;
    if (typeof name === 'string') return name;
  }
  return undefined;
}
