/**
 * A YAML file: its text in, plain values and the place of every key out. Strict: YAML 1.2, one document, no key
 * twice, no tags, few aliases (they can multiply a small file into gigabytes).
 */
import { readFileSync, statSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
} from 'yaml';
import { errnoOf, UsageError } from '../model/errors.ts';

const MAX_BYTES = 1024 * 1024;
const MAX_ALIASES = 50;

export interface YamlFile {
  /** What the file says; undefined when it is empty. */
  value: unknown;
  /** `file:line:column` of a key (where its own place is asked for) or of its value; of what is nearest above it. */
  place(path: readonly PropertyKey[], of: 'key' | 'value'): string;
}

/** Reads and parses a file. Throws a `UsageError` with the place of every problem. */
export function readYamlFile(file: string): YamlFile {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > MAX_BYTES)
      throw new UsageError(`${file}: is ${size} bytes long; a config has ${MAX_BYTES} at most`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(
      `cannot read the config ${file}: ${errnoOf(error)}: check the path and who may read it`,
    );
  }
  return parseYaml(file, text);
}

/** `file` is only named in messages. */
export function parseYaml(file: string, text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    version: '1.2',
  });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const wrong = [...document.errors, ...document.warnings].map(
    ({ pos, message }) => `${at(pos[0])}: ${message}`,
  );
  if (wrong.length > 0) throw new UsageError(wrong.join('\n'));
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof Error ? error.message : error}`);
  }
  return { value: value ?? undefined, place: (path, of) => at(offsetOf(document, path, of)) };
}

function offsetOf(document: Document.Parsed, path: readonly PropertyKey[], of: 'key' | 'value'): number {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [depth, segment] of path.entries()) {
    const last = depth === path.length - 1;
    if (isAlias(node)) node = (node.resolve(document) ?? null) as Node | null;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(segment));
      if (pair === undefined) return offset;
      const key = pair.key as ParsedNode;
      const value = pair.value as ParsedNode | null;
      const empty = value === null || (isScalar(value) && value.value === null && value.source === '');
      offset = ((last && of === 'key') || empty ? key : value).range[0];
      node = value;
    } else if (isSeq(node)) {
      const item = node.items[Number(segment)] as ParsedNode | undefined;
      if (item === undefined) return offset;
      offset = item.range[0];
      node = item;
    } else {
      return offset;
    }
  }
  return offset;
}
