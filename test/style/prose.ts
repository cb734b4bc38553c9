/**
 * Finds English that makes a reader stumble, in sources, docs, dashboards, alerts and the chart. `npm run check:prose`
 * checks the whole tree, `node test/style/prose.ts src/probes` one folder. docs/prose.md lists the habits that a
 * program cannot find.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

interface Rule {
  pattern: RegExp;
  advice: string;
}

const SUBJECT =
  'it|they|he|she|there|then|this|these|that|those|nobody|somebody|everybody|both|what|who|one|we|you|some|none|neither|no';
const THINGS =
  'event|CPU|call|scrape|page|series|read|round|tick|node|task|disk|tracer|probe|kernel|function|label|request|line|backend|panel|picture|dashboard|histogram|bucket|window|family|kind|thread|connection|buffer|file|process|pod|record';
const COUNTED =
  'ns|µs|us|ms|bytes|MiB|KiB|MB|KB|events?|pages?|once|twice|one|lines?|samples?|slots?|instances?|buffers?|cursors?|files?|calls?|looks?|rings?|words?|bits?|queries|labels?|rows?|columns?|histograms?|counters?|bounds';

export const RULES: readonly Rule[] = [
  { pattern: /\banew\b/i, advice: 'write "again"' },
  { pattern: /\bwhoever\b/i, advice: 'name the task, caller or user' },
  {
    pattern: /(?:[.;:(] |^|[*/#] )Who (?!am\b)[a-z]+ (?![^.]*\?)/,
    advice: 'name who it is: "A caller that …"',
  },
  { pattern: new RegExp(`[,;] for (?:${SUBJECT})\\b`), advice: 'write "because"' },
  {
    pattern: /(?<!stands? |standing |leaves? |left |leave |let |them |it |that |us )\balone\b/i,
    advice: 'write "only"',
  },
  {
    pattern: /\b(?:is|are|was|were|be|been|being|gets?) told\b|\btold (?:of|by)\b|\btells? of\b/i,
    advice: 'write "reports" or "is reported", and by whom',
  },
  {
    pattern: /\b(?:of|by) (?:ours|theirs|its like|their like)\b/i,
    advice: 'write "our …" or "their …"',
  },
  { pattern: /\bto be had\b/i, advice: 'write "available" or "supported"' },
  {
    pattern: /\benters?\b[^.]{0,120}\bleaves?\b|\b[Ii]n[;,:] [^.]{0,80}\bout\b[.;]/,
    advice: 'say what the code does: subject, verb, object',
  },
  { pattern: new RegExp(`\\b(?:${COUNTED}) an? (?:${THINGS})\\b(?! of\\b)`), advice: 'write "per"' },
];

export interface Finding {
  line: number;
  text: string;
  advice: string;
}

/** Joins the lines of a paragraph or comment, so that patterns match across lines. Offsets do not change. */
function joined(text: string): string {
  return text.replace(/\n[ \t]*(?:\*(?!\/)|\/\/|#|>)?[ \t]*(?=\S)/g, (gap) => ' '.repeat(gap.length));
}

export function findingsIn(text: string): Finding[] {
  const prose = joined(text);
  return RULES.flatMap(({ pattern, advice }) =>
    [...prose.matchAll(new RegExp(pattern.source, `${pattern.flags}g`))].map((match) => ({
      line: text.slice(0, match.index).split('\n').length,
      text: match[0].trim().replace(/\s+/g, ' '),
      advice,
    })),
  );
}

/** Whether a file is checked. Excludes fixtures, which other programs wrote, and files that quote the habits. */
function isRead(file: string): boolean {
  return (
    /\.(ts|md|ya?ml|js|cjs|tpl|sh|py|c|conf|service)$|NOTES\.txt$|^\.ci\/run$/.test(file) &&
    !/^test\/(fixtures|style)\/|^test\/unit\/prose\.test\.ts$|^docs\/prose\.md$/.test(file)
  );
}

if (import.meta.main) {
  const { stdout } = spawnSync('git', ['ls-files', '-z', ...process.argv.slice(2)], { encoding: 'utf8' });
  const lines = stdout
    .split('\0')
    .filter(isRead)
    .flatMap((file) =>
      findingsIn(readFileSync(file, 'utf8')).map(
        ({ line, text, advice }) => `${file}:${line}: "${text}": ${advice}`,
      ),
    );
  for (const line of lines) console.error(line);
  if (lines.length > 0) console.error(`${lines.length} places; docs/prose.md has before and after`);
  process.exitCode = lines.length > 0 ? 1 : 0;
}
