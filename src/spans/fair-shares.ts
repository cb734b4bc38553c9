/** Divides a total between claimants as evenly as possible (max-min fairness). */

/** Gives each unit of `total` to the claimant with the smallest `before` plus share, up to its value in `wanted`. */
export function fairShares(
  wanted: readonly number[],
  total: number,
  before: readonly number[] = wanted.map(() => 0),
): number[] {
  const shares = wanted.map(() => 0);
  for (let items = total; items > 0; items--) {
    let least = -1;
    for (let i = 0; i < shares.length; i++) {
      if (shares[i] >= wanted[i]) continue;
      if (least < 0 || before[i] + shares[i] < before[least] + shares[least]) least = i;
    }
    if (least < 0) break;
    shares[least]++;
  }
  return shares;
}
