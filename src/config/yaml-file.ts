/** Reads a YAML file, and finds the line and column of every key. Limits aliases, as they can expand to gigabytes. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';
import { reasonOf, UsageError } from '../model/errors.ts';
import { readUserFile } from '../model/user-file.ts';

const MAX_ALIASES = 50;

export interface YamlFile {
  /** The content of the file; undefined if the file is empty. */
  value: unknown;
  /** Returns `file:line:column` of a key or its value, or of the nearest enclosing key if the key does not exist. */
  place(path: readonly PropertyKey[], part: 'key' | 'value'): string;
}

/** Reads and parses a file. Throws a `UsageError` with the line and column of every problem. */
export function readYamlFile(file: string): YamlFile {
  let text: string;
  try {
    text = readUserFile(file).toString('utf8');
  } catch (error) {
    throw new UsageError(`cannot read the config ${file}: ${reasonOf(error)}`);
  }
  return parseYaml(file, text);
}

/** Parses a text. `file` is used only in messages. */
export function parseYaml(file: string, text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    // `repeatedKeys` finds repeated keys instead, because the library would need quadratic time.
    uniqueKeys: false,
    version: '1.2',
  });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const wrong = [...document.errors, ...document.warnings].map(
    ({ pos, message }) => `${at(pos[0])}: ${message}`,
  );
  wrong.push(...repeatedKeys(document).map((offset) => `${at(offset)}: Map keys must be unique`));
  if (wrong.length > 0) throw new UsageError(wrong.join('\n'));
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new UsageError(`${file}: ${reasonOf(error)}`);
  }
  const pairs = new WeakMap<YAMLMap, Map<string, Pair>>();
  return { value: value ?? undefined, place: (path, part) => at(offsetOf(document, path, part, pairs)) };
}

/** Returns the offset of each key that has already occurred in the same map. */
function repeatedKeys(document: Document.Parsed): number[] {
  const offsets: number[] = [];
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) offsets.push(key.range?.[0] ?? 0);
        seen.add(key.value);
      }
    },
  });
  return offsets;
}

/** Returns the pairs of a map by key, and caches them. */
function pairsOf(map: YAMLMap, cache: WeakMap<YAMLMap, Map<string, Pair>>): Map<string, Pair> {
  const cached = cache.get(map);
  if (cached !== undefined) return cached;
  const pairs = new Map<string, Pair>();
  for (const pair of map.items) if (isScalar(pair.key)) pairs.set(String(pair.key.value), pair);
  cache.set(map, pairs);
  return pairs;
}

function offsetOf(
  document: Document.Parsed,
  path: readonly PropertyKey[],
  part: 'key' | 'value',
  pairs: WeakMap<YAMLMap, Map<string, Pair>>,
): number {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [depth, segment] of path.entries()) {
    const last = depth === path.length - 1;
    if (isAlias(node)) node = (node.resolve(document) ?? null) as Node | null;
    if (isMap(node)) {
      const pair = pairsOf(node, pairs).get(String(segment));
      if (pair === undefined) return offset;
      const key = pair.key as ParsedNode;
      const value = pair.value as ParsedNode | null;
      const empty = value === null || (isScalar(value) && value.value === null && value.source === '');
      offset = ((last && part === 'key') || empty ? key : value).range[0];
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
