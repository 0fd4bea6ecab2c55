// Keeps the status page up to date while somebody looks at it. Everything it needs is in the page and in /status.json.

const SAMPLES = 300;
const HEIGHT = 100;
const POLL_MS = 1000;
const RETRY_MS = 3000;

const startedAt = document.querySelector('main').dataset.started;
const series = {};
let next = 0;
let timer = null;

const shortNumber = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

async function poll() {
  timer = null;
  let delay = POLL_MS;
  try {
    const response = await fetch(`/status.json?since=${next}`, {
      cache: 'no-store',
      signal: AbortSignal.timeout(5000),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const status = await response.json();
    if (String(status.startedAtMs) !== startedAt) return location.reload();
    update(status);
  } catch {
    document.body.dataset.state = 'lost';
    setText('state', 'No answer, trying again');
    delay = RETRY_MS;
  }
  if (!document.hidden) timer = setTimeout(poll, delay);
}

function update(status) {
  document.body.dataset.state = status.isHealthy ? 'ok' : 'unhealthy';
  for (const [name, text] of Object.entries(status.show)) setText(name, text);
  for (const item of document.querySelectorAll('[data-drop]')) item.hidden = status.dropped[item.dataset.drop] === 0;
  addHistory(status.history);
  for (const card of document.querySelectorAll('.chart')) drawChart(card);
}

function setText(name, text) {
  for (const place of document.querySelectorAll(`[data-show="${name}"]`)) {
    if (place.textContent !== text) place.textContent = text;
  }
}

function addHistory(history) {
  // Away for longer than the server remembers: what came is not the continuation of what is here.
  const isContinued = Object.values(history.series).every((values) => next + values.length === history.next);
  for (const [name, values] of Object.entries(history.series)) {
    series[name] = [...(isContinued ? (series[name] ?? []) : []), ...values].slice(-SAMPLES);
  }
  next = history.next;
}

function drawChart(card) {
  const values = series[card.dataset.series] ?? [];
  const peak = Math.max(...values, 0);
  const scale = peak === 0 ? 0 : (HEIGHT - 4) / peak;
  const left = SAMPLES - values.length;
  const points = values.map((value, i) => `${left + i} ${(HEIGHT - 1 - value * scale).toFixed(1)}`);
  const line = points.length === 0 ? '' : `M${points.join('L')}`;
  card.querySelector('.line').setAttribute('d', line);
  card
    .querySelector('.area')
    .setAttribute('d', line === '' ? '' : `${line}L${SAMPLES - 1} ${HEIGHT}L${left} ${HEIGHT}Z`);
  if (card.dataset.at === undefined) {
    card.querySelector('.peak').textContent = peak === 0 ? '' : `peak ${format(peak)}${card.dataset.unit}`;
    card.querySelector('.cursor').setAttribute('d', '');
  } else showValueAt(card, values, left);
}

function showValueAt(card, values, left) {
  const at = Number(card.dataset.at);
  const value = values[at - left];
  card.querySelector('.cursor').setAttribute('d', `M${at} 0V${HEIGHT}`);
  const ago = SAMPLES - 1 - at;
  const when = ago === 0 ? 'now' : `${ago} s ago`;
  card.querySelector('.peak').textContent =
    value === undefined ? `${when}: unknown` : `${when}: ${format(value)}${card.dataset.unit}`;
}

function format(value) {
  if (value >= 1e6) return shortNumber.format(value);
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });
}

for (const card of document.querySelectorAll('.chart')) {
  const plot = card.querySelector('.plot');
  const follow = (event) => {
    const { left, width } = plot.getBoundingClientRect();
    const at = Math.round(((event.clientX - left) / width) * (SAMPLES - 1));
    card.dataset.at = String(Math.min(SAMPLES - 1, Math.max(0, at)));
    drawChart(card);
  };
  plot.addEventListener('pointermove', follow);
  plot.addEventListener('pointerdown', follow);
  plot.addEventListener('pointerleave', () => {
    delete card.dataset.at;
    drawChart(card);
  });
}

for (const button of document.querySelectorAll('[data-copy]')) {
  // Browsers give the clipboard to https and to this machine only.
  button.hidden = navigator.clipboard === undefined;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  });
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    clearTimeout(timer);
    timer = null;
  } else if (timer === null) poll();
});

poll();
