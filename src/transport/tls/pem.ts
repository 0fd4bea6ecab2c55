/** A block between `-----BEGIN LABEL-----` and `-----END LABEL-----`. */
export interface PemBlock {
  readonly label: string;
  /** The block as text, with its two lines. */
  readonly text: string;
  /** What it encodes; null where it does not end or its middle is no base64, as in an encrypted key of the old form. */
  readonly der: Uint8Array | null;
}

/** All blocks of a file in PEM (RFC 7468), whatever stands between them. */
export function pemBlocks(source: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let label: string | null = null;
  let lines: string[] = [];
  const take = (isComplete: boolean) => {
    const base64 = isComplete ? lines.slice(1, -1).join('').replace(/\s+/g, '') : '';
    const isBase64 = base64.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(base64);
    blocks.push({
      label: label!,
      text: `${lines.join('\n')}\n`,
      der: isBase64 ? Buffer.from(base64, 'base64') : null,
    });
    label = null;
  };
  for (const line of source.split(/\r?\n/)) {
    const begin = /^-----BEGIN ([A-Z0-9 .]+)-----\s*$/.exec(line)?.[1];
    if (begin !== undefined) {
      if (label !== null) take(false);
      label = begin;
      lines = [line.trim()];
    } else if (label !== null) {
      lines.push(line.trim());
      if (line.startsWith(`-----END ${label}-----`)) take(true);
    }
  }
  if (label !== null) take(false);
  return blocks;
}
