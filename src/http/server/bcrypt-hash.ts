/** bcrypt's format: revision, cost, 22 characters of salt and 31 of digest. */
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

/** Returns the cost in a bcrypt hash: its binary logarithm. NaN if the text is no bcrypt hash. */
export function costOf(hash: string): number {
  return Number(BCRYPT.exec(hash)?.[1]);
}
