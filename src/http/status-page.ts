/// <reference path="./text-modules.d.ts" />
import { html } from 'hono/html';
import { DropReason } from '../session/outgoing-flow.ts';
import { DROP_REASONS } from './drop-reasons.ts';
import { type FirstMessage, firstMessage } from './first-message.ts';
import type { HistorySeries } from './history.ts';
import { type Html, mark, renderPage } from './page.ts';
import { readStatus, type Status, type StatusSources } from './status.ts';
import type { ListenerStatus } from './server-info.ts';
import script from './status-page.client.js' with { type: 'text' };

/** The page as of now; its script then keeps it up to date from `/status.json`. */
export function renderStatusPage(sources: StatusSources): Promise<Response> {
  const status = readStatus(sources, 0);
  const { listeners } = sources.info;
  return renderPage({
    title: 'Martlet',
    state: status.isHealthy ? 'ok' : 'unhealthy',
    status: 200,
    script,
    body: html`
      ${header(status)}
      <main data-started="${status.startedAtMs}">
        ${charts(status)}
        <div class="column">${firstMessageCard(firstMessage(listeners), status)} ${dropsCard(status)}</div>
        <div class="column">${listenersCard(listeners, status)} ${holdingCard(status)} ${processCard(status)}</div>
      </main>
      <footer>
        <p>For machines: <a href="/metrics">/metrics</a> <a href="/healthz">/healthz</a></p>
        <noscript><p>Without JavaScript this page shows the moment it was loaded, and no charts.</p></noscript>
      </footer>
    `,
  });
}

/** A place the script writes to. */
function show(status: Status, name: string): Html {
  return html`<span data-show="${name}">${status.show[name] ?? ''}</span>`;
}

function header(status: Status): Html {
  return html`<header>
    ${mark}
    <h1>Martlet</h1>
    <p class="version">${status.version}</p>
    <p class="state" role="status">
      <span class="dot"></span>${show(status, 'state')}
      <span class="since">for ${show(status, 'uptime')}</span>
    </p>
  </header>`;
}

function charts(status: Status): Html {
  const at = (name: string): Html => show(status, name);
  const perSecond = (name: string): Html => html`${at(name)}<small>/s</small>`;
  return html`<div class="charts">
    ${chart('connections', 'Connections', at('connections'), '', html`${at('clients')}, ${at('accepted')} so far`)}
    ${chart(
      'messagesIn',
      'Messages in',
      perSecond('messagesInRate'),
      at('bytesInRate'),
      html`${at('messagesIn')}, ${at('bytesIn')} so far`,
    )}
    ${chart(
      'messagesOut',
      'Messages out',
      perSecond('messagesOutRate'),
      at('bytesOutRate'),
      html`${at('messagesOut')}, ${at('bytesOut')} so far`,
    )}
  </div>`;
}

function chart(series: HistorySeries, title: string, figure: Html, aside: Html | '', note: Html): Html {
  const unit = series === 'connections' ? '' : '/s';
  return html`<section class="card chart" data-series="${series}" data-unit="${unit}">
    <h2>${title}</h2>
    <p class="figure"><span>${figure}</span><span class="beside">${aside}</span></p>
    <div class="plot">
      <svg viewBox="0 0 299 100" preserveAspectRatio="none" aria-hidden="true">
        <path class="area" d="" />
        <path class="line" d="" />
        <path class="cursor" d="" />
      </svg>
    </div>
    <p class="caption"><span>5 min ago</span><span class="peak"></span><span>now</span></p>
    <p class="note">${note}</p>
  </section>`;
}

function firstMessageCard(commands: FirstMessage | null, status: Status): Html {
  if (commands === null) {
    return html`<section class="card first">
      <h2>Send the first message</h2>
      <p class="quiet">
        No listener speaks MQTT over plain TCP, so the commands depend on your certificates. The listeners are on this
        page.
      </p>
    </section>`;
  }
  return html`<section class="card first">
    <h2>Send the first message</h2>
    <input type="radio" name="tool" id="tool-martlet" checked />
    <input type="radio" name="tool" id="tool-mosquitto" />
    <p class="tools"><label for="tool-martlet">Martlet</label><label for="tool-mosquitto">Mosquitto</label></p>
    <ol>
      <li>
        <p>In one terminal, wait for messages:</p>
        ${command('martlet', commands.martlet[0])} ${command('mosquitto', commands.mosquitto[0])}
      </li>
      <li>
        <p>In another, send one:</p>
        ${command('martlet', commands.martlet[1])} ${command('mosquitto', commands.mosquitto[1])}
      </li>
    </ol>
    <p class="quiet">${show(status, 'first')}</p>
  </section>`;
}

function command(tool: string, text: string): Html {
  return html`<p class="command" data-tool="${tool}">
    <code>${text}</code><button type="button" data-copy="${text}" hidden>Copy</button>
  </p>`;
}

function listenersCard(listeners: readonly ListenerStatus[], status: Status): Html {
  return html`<section class="card">
    <h2>Listeners</h2>
    ${
      listeners.length === 0
        ? html`<p class="quiet">None. No client can connect.</p>`
        : html`<ul class="rows">
            ${listeners.map(
              ({ name, url }, i) =>
                html`<li>
                  <p><strong>${name}</strong><span class="value">${show(status, `listener-${i}`)}</span></p>
                  <p><code>${url}</code></p>
                </li>`,
            )}
          </ul>`
    }
  </section>`;
}

function dropsCard(status: Status): Html {
  return html`<section class="card drops">
    <h2>Dropped messages</h2>
    <p class="quiet">${show(status, 'dropTotal')}</p>
    <ul class="rows">
      ${Object.values(DropReason).map((reason) => {
        const { title, text } = DROP_REASONS[reason];
        return html`<li data-drop="${reason}" ${status.dropped[reason] === 0 ? 'hidden' : ''}>
          <p><strong>${title}</strong><span class="value">${show(status, `drop-${reason}`)}</span></p>
          <p class="quiet">${text}</p>
        </li>`;
      })}
    </ul>
  </section>`;
}

function holdingCard(status: Status): Html {
  return html`<section class="card">
    <h2>Held now</h2>
    <dl>
      ${term('Sessions', show(status, 'sessions'), show(status, 'sessionsAway'))}
      ${term('Subscriptions', show(status, 'subscriptions'), show(status, 'shared'))}
      ${term('Topic filters', show(status, 'filters'), '')} ${term('Retained messages', show(status, 'retained'), '')}
    </dl>
  </section>`;
}

function processCard(status: Status): Html {
  return html`<section class="card">
    <h2>Process</h2>
    <dl>
      ${term('Memory', show(status, 'memory'), '')} ${term('CPU', show(status, 'cpu'), 'of one core')}
      ${term('Open files', show(status, 'files'), show(status, 'filesLimit'))}
      ${term('Event loop', show(status, 'lag'), 'late by')}
    </dl>
  </section>`;
}

function term(name: string, value: Html, aside: Html | string): Html {
  return html`<div>
    <dt>${name} <span class="aside">${aside}</span></dt>
    <dd>${value}</dd>
  </div>`;
}
