/** For answers that are no pages: nothing may be loaded, run or framed. */
const BARE_POLICY = "default-src 'none'; frame-ancestors 'none'";

const HEADERS: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  'Cache-Control': 'no-store',
};

/** Sets what every answer carries; a page brings a Content-Security-Policy of its own. */
export function secure(response: Response): Response {
  const { headers } = response;
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  if (!headers.has('Content-Security-Policy')) headers.set('Content-Security-Policy', BARE_POLICY);
  return response;
}

/** The policy of a page whose only style and script are inline, and known beforehand. */
export function pagePolicy(style: string, script: string | null): string {
  return [
    "default-src 'none'",
    `style-src ${hashSource(style)}`,
    script === null ? null : `script-src ${hashSource(script)}`,
    script === null ? null : "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
    .filter((part) => part !== null)
    .join('; ');
}

function hashSource(text: string): string {
  return `'sha256-${new Bun.CryptoHasher('sha256').update(text).digest('base64')}'`;
}
