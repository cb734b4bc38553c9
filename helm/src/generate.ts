/** `npm run charts`: writes the generated files of helm/ftrace-exporter. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { generatedFiles } from './all.ts';

const chart = new URL('../ftrace-exporter/', import.meta.url);
mkdirSync(new URL('files/dashboards/', chart), { recursive: true });
for (const [path, text] of generatedFiles()) writeFileSync(new URL(path, chart), text);
