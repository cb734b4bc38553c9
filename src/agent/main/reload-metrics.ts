/** Metrics about reloads of the config, named like Prometheus's own `prometheus_config_last_reload_*`. */
import type { MetricStore } from '../../metrics/store.ts';

/** The returned function takes the outcome of a reload. The start of the agent counts as a successful reload. */
export function declareReloads(store: MetricStore): (isSuccessful: boolean) => void {
  const successful = store.gauge({
    name: 'ftrace_exporter_config_last_reload_successful',
    help: '1 if the last attempt to reload the config was successful or there was no attempt yet, otherwise 0.',
  });
  const time = store.gauge({
    name: 'ftrace_exporter_config_last_reload_success_timestamp_seconds',
    help: 'Unix time at which the agent loaded the config that it uses now.',
    unit: 'seconds',
  });
  const [successfulSlot, timeSlot] = [successful.slot([]), time.slot([])];
  const ended = (isSuccessful: boolean): void => {
    successful.set(successfulSlot, isSuccessful ? 1 : 0);
    if (isSuccessful) time.set(timeSlot, Date.now() / 1000);
  };
  ended(true);
  return ended;
}
