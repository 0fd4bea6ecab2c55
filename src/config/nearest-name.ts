/**
 * The name that somebody most likely meant to write, or null where none is near: at most one slip in three characters,
 * or the beginning of a single name. Case, and `-` for `_`, count for nothing.
 */
export function nearestName(written: string, names: Iterable<string>): string | null {
  const wanted = normalize(written);
  if (wanted.length > 64) return null;
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  let nearest: string | null = null;
  let least = limit + 1;
  const begun: string[] = [];
  for (const name of names) {
    const candidate = normalize(name);
    if (Math.abs(wanted.length - candidate.length) < least) {
      const distance = editDistance(wanted, candidate);
      if (distance < least) {
        nearest = name;
        least = distance;
      }
    }
    if (wanted.length >= 3 && candidate.startsWith(wanted)) begun.push(name);
  }
  return nearest ?? (begun.length === 1 ? begun[0]! : null);
}

function normalize(name: string): string {
  return name.toLowerCase().replaceAll('-', '_');
}

/** Characters to insert, remove, replace or swap with their neighbour to make `b` of `a`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, beforeLast[j - 2]! + 1);
      }
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
