/// <reference path="./text-modules.d.ts" />
import { html, raw } from 'hono/html';
import style from './page.css' with { type: 'text' };
import { pagePolicy } from './security-headers.ts';

export type Html = ReturnType<typeof html>;

/** A martlet from above: two wings and a forked tail. */
const MARTLET =
  'M1.5 8.5C9 8.6 13.4 11.6 16 15.6 18.6 11.6 23 8.6 30.5 8.5 25.3 10.9 21.9 14.2 19.7 18.6L22.6 28.5 16 22.6 9.4 28.5 12.3 18.6C10.1 14.2 6.7 10.9 1.5 8.5Z';

const ICON = `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#14777f" d="${MARTLET}"/></svg>`,
)}`;

export const mark: Html = html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><path d="${MARTLET}" /></svg>`;

interface Page {
  readonly title: string;
  /** `ok`, or what else the style sheet knows. */
  readonly state: string;
  readonly body: Html;
  readonly script: string | null;
  /** HTTP status. */
  readonly status: number;
}

/** A whole page: style and script inline, nothing loaded from elsewhere. */
export async function renderPage({ title, state, body, script, status }: Page): Promise<Response> {
  const text = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="${ICON}" />
        ${inline('style', style)}
      </head>
      <body data-state="${state}">
        ${body} ${script === null ? '' : inline('script', script)}
      </body>
    </html> `;
  return new Response(String(text), {
    status,
    headers: { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': pagePolicy(style, script) },
  });
}

/** Without a blank that the hash in the policy does not cover. */
function inline(element: 'style' | 'script', text: string): Html {
  return raw(element === 'style' ? `<style>${text}</style>` : `<script type="module">${text}</script>`);
}
