/** The probes of the catalogue that consist of declared metrics. */
import { probeCatalogue } from '../../src/probes/catalogue.ts';

/** Recognizes declared probes by `isOfTask`, which only their metrics have. */
export const declaredProbes = probeCatalogue.filter(({ metrics }) =>
  metrics.some(({ isOfTask }) => isOfTask !== undefined),
);
