/** The kernel or the system refused something. Says what, where, why, and what to do. */
export class KernelError extends Error {
  /** File or directory concerned. */
  readonly file: string;
  /** `EPERM`, `EBUSY`, …; empty if unknown. */
  readonly errno: string;
  /** What was written; undefined for reads and opens. */
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
    const log = what.errorLog ? `; the kernel says: ${what.errorLog}` : '';
    const remedy = what.remedy ? ` — ${what.remedy}` : '';
    super(`cannot ${what.action}${value} ${what.file}: ${what.errno || 'failed'}${log}${remedy}`);
    this.name = 'KernelError';
    this.file = what.file;
    this.errno = what.errno;
    this.value = what.value;
  }
}

/** The user's request is invalid: a wrong flag, key or value. Exits with status 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** errno name of a thrown system error, or ''. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

/** Message of anything that was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
