/** `npm run docs`: writes the tables of README.md and docs/ that follow from the code. */
import { writeFileSync } from 'node:fs';
import { generatedDocs } from './tables.ts';

for (const [path, text] of generatedDocs()) writeFileSync(new URL(`../${path}`, import.meta.url), text);
