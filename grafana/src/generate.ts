/** `npm run dashboards`: writes grafana/dashboards/UID.json, the files that Grafana loads. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dashboards, jsonOf } from './all.ts';

const directory = new URL('../dashboards/', import.meta.url);
mkdirSync(directory, { recursive: true });
for (const one of dashboards()) writeFileSync(new URL(`${one.uid}.json`, directory), jsonOf(one));
