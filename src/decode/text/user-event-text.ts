/**
 * Makes print fmts for user events, which programs define. The kernel ignores the print fmt in a user event's format
 * file (kernel/trace/trace_output.c, print_fields()).
 */
import type { EventFormat, FieldFormat } from '../../model/format.ts';
import { isCommon } from './compile-fmt.ts';

const SYSTEMS = ['user_events', 'user_events_multi'];
/** Maximum number of one-byte fields that can be read: each of them doubles the number of variants. */
const MOST_BYTES = 4;

/** Returns one print fmt per variant of the text, or undefined if this is not a user event. */
export function userEventFormats({ system, fields }: EventFormat): string[] | undefined {
  if (!SYSTEMS.includes(system)) return undefined;
  let bytes = 0;
  const own = fields.filter(({ name }) => !isCommon(name)).map((field) => textsOf(field, () => bytes++));
  if (own.length === 0) return ['""'];
  let variants: { text: string; values: string }[] = [{ text: '', values: '' }];
  for (const texts of own)
    variants = variants.flatMap((one) =>
      texts.map(({ text, values }) => ({ text: `${one.text} ${text}`, values: one.values + values })),
    );
  return variants.map(({ text, values }) => `"${text.slice(1)}"${values}`);
}

/**
 * Returns the possible texts of a field. The kernel prints a byte as a number, and a printable byte also as a
 * character.
 */
function textsOf(field: FieldFormat, countByte: () => number): { text: string; values: string }[] {
  const { name, type, size, array } = field;
  const value = `, REC->${name}`;
  if (array && /\bchar\b/.test(type)) return [{ text: `${name}=%s`, values: value }];
  if (size === 1 && countByte() < MOST_BYTES)
    return [
      { text: `${name}=(%u)`, values: value },
      { text: `${name}='%c'(%u)`, values: `, 0${value}` },
    ];
  if (size === 2 || size === 4 || size === 8)
    return [{ text: `${name}=0x%llx (%lld)`, values: `${value}, 0` }];
  return [{ text: `${name}=%s`, values: ', 0' }];
}
