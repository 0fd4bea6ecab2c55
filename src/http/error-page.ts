import { html } from 'hono/html';
import type { ApiError } from './api-error.ts';
import { mark, renderPage } from './page.ts';

/** An error for people. */
export function renderErrorPage(error: ApiError, title: string): Promise<Response> {
  return renderPage({
    title: `${title} · Martlet`,
    state: 'error',
    status: error.status,
    script: null,
    body: html`<main class="message card">
      ${mark}
      <p class="code">${error.status}</p>
      <h1>${title}</h1>
      <p>${error.message}</p>
      <p><a href="/">To the status page</a></p>
    </main>`,
  });
}
