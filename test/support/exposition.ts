/** A small parser of the exposition formats. It shares no code with the writer, and keeps values as text. */

export interface ParsedSample {
  name: string;
  labels: Record<string, string>;
  value: string;
}

/** Samples of a body; comments are skipped. Throws on any other line. */
export function parseExposition(body: string): ParsedSample[] {
  const samples: ParsedSample[] = [];
  for (const line of body.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    samples.push(parseLine(line));
  }
  return samples;
}

function parseLine(line: string): ParsedSample {
  const name = /^[a-zA-Z_:][\w:]*/.exec(line)?.[0];
  if (name === undefined) throw new Error(`no metric name: ${line}`);
  const labels: Record<string, string> = {};
  let at = name.length;
  if (line[at] === '{') {
    at++;
    while (line[at] !== '}') {
      const equals = line.indexOf('="', at);
      const label = line.slice(at, equals);
      if (!/^[a-zA-Z_]\w*$/.test(label) || label in labels) throw new Error(`bad label ${label}: ${line}`);
      let value = '';
      for (at = equals + 2; line[at] !== '"'; at++) {
        if (at >= line.length) throw new Error(`open quote: ${line}`);
        if (line[at] !== '\\') value += line[at];
        else value += unescaped(line[++at], line);
      }
      labels[label] = value;
      at++;
      if (line[at] === ',') at++;
      else if (line[at] !== '}') throw new Error(`neither comma nor brace: ${line}`);
    }
    at++;
  }
  const value = /^ (\S+)$/.exec(line.slice(at))?.[1];
  if (value === undefined) throw new Error(`no value: ${line}`);
  return { name, labels, value };
}

function unescaped(char: string | undefined, line: string): string {
  const meaning = { n: '\n', '\\': '\\', '"': '"' }[char ?? ''];
  if (meaning === undefined) throw new Error(`bad escape: ${line}`);
  return meaning;
}
