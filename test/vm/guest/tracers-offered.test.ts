/** A kernel newer than a tracer's first version has that tracer: one that is missing is a failure, never a skip. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mustOffer } from '../tracers.ts';
import { KERNEL, TRACEFS, wantedTracers } from './lab.ts';

describe('the kernel', () => {
  const offered = readFileSync(join(TRACEFS, 'available_tracers'), 'utf8').trim().split(' ');
  for (const tracer of wantedTracers()) {
    const { name, since } = tracer;
    const must = mustOffer(tracer, KERNEL);
    let skip: string | false = false;
    if (since === undefined) skip = 'no kernel of the lab is built with it';
    else if (!must) skip = `it came with ${since}`;
    it(`offers ${name}`, { skip }, () => assert.ok(offered.includes(name), offered.join(' ')));
    // The table would be wrong, and the checks of it would never run.
    if (!must) it(`has no ${name}, as the table of tracers says`, () => assert.ok(!offered.includes(name)));
  }
});
