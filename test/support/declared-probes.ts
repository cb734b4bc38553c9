/** The probes of the catalogue that consist of declared metrics. */
import { probeCatalogue } from '../../src/probes/catalogue.ts';

/** Only the metrics of `declaredProbe` say whether they are about a task. */
export const declaredProbes = probeCatalogue.filter(({ metrics }) =>
  metrics.some(({ isOfTask }) => isOfTask !== undefined),
);
