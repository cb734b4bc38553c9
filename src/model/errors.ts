/** The operating system refused an operation. The message contains file, value, reason and remedy, if known. */
export class KernelError extends Error {
  readonly file: string;
  /** `EPERM`, `EBUSY`, …; empty if unknown. */
  readonly errno: string;
  /** The value to write. Undefined if the operation was not a write. */
  readonly value: string | undefined;

  constructor(what: {
    file: string;
    errno: string;
    action: string;
    value?: string | undefined;
    errorLog?: string | undefined;
    remedy?: string | undefined;
  }) {
    const value = what.value === undefined ? '' : ` ${JSON.stringify(what.value)} to`;
    const log = what.errorLog ? `; the kernel's error log: ${what.errorLog}` : '';
    const remedy = what.remedy ? ` — ${what.remedy}` : '';
    const errno = what.errno ? `: ${what.errno}` : log || remedy ? '' : ': failed';
    super(`cannot ${what.action}${value} ${what.file}${errno}${log}${remedy}`);
    this.name = 'KernelError';
    this.file = what.file;
    this.errno = what.errno;
    this.value = what.value;
  }
}

/** The user's request is invalid: a wrong flag, key or value. The program exits with status 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Errno name of a thrown system error, or ''. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
