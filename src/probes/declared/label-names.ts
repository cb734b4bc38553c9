/** Converts numbers in fields to label values. Callers cache the results. */
import { printedNames } from '../../decode/print-fmt.ts';
import type { Containers } from '../../model/containers.ts';
import type { DeclaredLabel } from '../../model/declared-metric.ts';
import type { EventFormat, FieldFormat } from '../../model/format.ts';
import { TWO_POW_32 } from '../../model/time.ts';
import type { ProbeContext } from '../probe.ts';

/** Returns the label value of a number, given as two 32-bit words; undefined if it has no name. */
export type NumberNamer = (low: number, high: number) => string | undefined;

type Facts = Pick<ProbeContext, 'host' | 'functions'>;

/** Fields that do not contain text contain numbers. */
export function isTextField({ type, array, location }: FieldFormat): boolean {
  return location !== 'inline' || (array && /\bchar\b/.test(type));
}

export function namerOf(
  label: DeclaredLabel,
  format: EventFormat,
  field: FieldFormat,
  facts: Facts,
): NumberNamer {
  const { host } = facts;
  const value = numberOf(field);
  const plain: NumberNamer = (low, high) => String(value(low, high));
  switch (label.as) {
    case 'number':
    case 'cpu':
      return plain;
    case 'hex':
      return (low, high) => `0x${high === 0 || field.size < 8 ? (low >>> 0).toString(16) : hex64(low, high)}`;
    case 'device':
      return (low) => host.blockDeviceName(low);
    case 'errno':
      return (low) => (low >= 0 ? 'ok' : (host.errnoName(-low) ?? String(-low)));
    case 'syscall':
      return (low) => host.syscallName(low);
    case 'irq':
      return (low) => host.irqName(low) ?? String(low);
    case 'comm':
      return (low) => host.taskName(low);
    case 'container': {
      const containers = containersOf(facts);
      return (slot) => containers.labels(slot)?.filter(Boolean).join('/');
    }
    case 'symbol': {
      const { functions } = facts;
      return (low, high) => functions.nameOf(low, high);
    }
    case 'map': {
      const { map = {}, default: fallback } = label;
      return (low, high) => {
        const key = String(value(low, high));
        return Object.hasOwn(map, key) ? map[key] : (fallback ?? key);
      };
    }
    default: {
      const names = printedNames(format, field.name, label.nth);
      return (low, high) => names?.(value(low, high)) ?? plain(low, high);
    }
  }
}

function numberOf({ size, signed }: FieldFormat): (low: number, high: number) => number {
  if (size < 8) return signed ? (low) => low : (low) => low >>> 0;
  return (low, high) => (signed ? high : high >>> 0) * TWO_POW_32 + (low >>> 0);
}

function hex64(low: number, high: number): string {
  return (high >>> 0).toString(16) + (low >>> 0).toString(16).padStart(8, '0');
}

/** Throws an `Error` if the agent does not track containers. */
export function containersOf({ host }: Facts): Containers {
  if (host.containers === undefined)
    throw new Error('a label with `as: container` needs containers, but containers.enabled is false');
  return host.containers;
}
