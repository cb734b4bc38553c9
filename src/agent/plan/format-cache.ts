/** Reads and parses each event format only once. */
import { parseFormat } from '../../decode/format.ts';
import type { EventFormat } from '../../model/format.ts';
import type { TraceMetadata } from '../../model/source.ts';

export class FormatCache {
  readonly #metadata: Pick<TraceMetadata, 'formatText' | 'events'>;
  readonly #formats = new Map<string, EventFormat | { error: string } | undefined>();

  constructor(metadata: Pick<TraceMetadata, 'formatText' | 'events'>) {
    this.#metadata = metadata;
  }

  get(event: string): EventFormat | undefined {
    const entry = this.#look(event);
    return entry !== undefined && !('error' in entry) ? entry : undefined;
  }

  events(): readonly string[] {
    return this.#metadata.events();
  }

  /** Why an event's format cannot be parsed. Undefined if the format is usable or does not exist. */
  problem(event: string): string | undefined {
    const entry = this.#look(event);
    return entry !== undefined && 'error' in entry
      ? `the format of event ${event} ${entry.error}`
      : undefined;
  }

  #look(event: string): EventFormat | { error: string } | undefined {
    if (!this.#formats.has(event)) {
      const text = this.#metadata.formatText(event);
      this.#formats.set(event, text === undefined ? undefined : parseFormat(event.split(':')[0], text));
    }
    return this.#formats.get(event);
  }
}
