import { Hono } from 'hono';
import { ApiError, ErrorCode } from './api-error.ts';
import { renderErrorPage } from './error-page.ts';
import { EXPOSITION_TYPE } from './exposition.ts';
import { checkHealth } from './health.ts';
import { renderMetrics } from './metrics.ts';
import { readStatus, type StatusSources } from './status.ts';
import { renderStatusPage } from './status-page.ts';

const TITLES: Record<ErrorCode, string> = {
  bad_host: 'Bad Host header',
  host_not_allowed: 'Not this name',
  not_found: 'Not found',
  method_not_allowed: 'Not this way',
  internal_error: 'Our mistake',
};

/** Paths that programs ask for; all others are pages. */
const API_PATH = /^\/(v\d+|api|oauth)(\/|$)|^\/(pushMessage|authLogin|healthz|metrics)$|\.json$/;

/** The routes of the HTTP side. `report` is told of errors that are our own. */
export function createApp(sources: StatusSources, report: (error: Error) => void): Hono {
  const app = new Hono();
  app.get('/', () => renderStatusPage(sources));
  app.get('/status.json', (c) => c.json(readStatus(sources, Number(c.req.query('since') ?? 0))));
  app.get('/healthz', () => healthResponse(sources));
  app.get('/metrics', () => {
    const text = renderMetrics(sources.broker, sources.info, sources.sampler.lag);
    return new Response(text, { headers: { 'Content-Type': EXPOSITION_TYPE } });
  });
  for (const { path } of [...app.routes]) {
    app.all(path, (c) => {
      throw new ApiError(
        ErrorCode.methodNotAllowed,
        405,
        `${path} can be read only: GET or HEAD, not ${c.req.method}.`,
        {
          Allow: 'GET, HEAD',
        },
      );
    });
  }
  app.notFound((c) =>
    errorResponse(c.req.raw, new ApiError(ErrorCode.notFound, 404, `Martlet serves nothing at ${c.req.path}.`)),
  );
  app.onError((error, c) => {
    if (error instanceof ApiError) return errorResponse(c.req.raw, error);
    report(error);
    return errorResponse(
      c.req.raw,
      new ApiError(ErrorCode.internal, 500, 'Martlet could not answer this request. Its log tells why.'),
    );
  });
  return app;
}

/** JSON for programs, a page for people. */
export async function errorResponse(request: Request, error: ApiError): Promise<Response> {
  const response = wantsJson(request)
    ? Response.json({ code: error.code, message: error.message }, { status: error.status })
    : await renderErrorPage(error, TITLES[error.code]);
  for (const [name, value] of Object.entries(error.headers)) response.headers.set(name, value);
  return response;
}

function wantsJson(request: Request): boolean {
  if (API_PATH.test(pathOf(request))) return true;
  const accept = request.headers.get('Accept') ?? '';
  return accept.includes('json') && !accept.includes('html');
}

/** The URL of a request whose Host is no host name is a path only. */
function pathOf(request: Request): string {
  return URL.parse(request.url, 'http://localhost')?.pathname ?? '/';
}

function healthResponse({ broker, info, sampler, uptimeSeconds }: StatusSources): Response {
  const { isHealthy, reason } = checkHealth(broker, sampler.lag);
  return Response.json(
    {
      status: isHealthy ? 'ok' : 'unavailable',
      ...(reason === null ? {} : { reason }),
      version: info.version,
      uptimeSeconds: Math.floor(uptimeSeconds()),
      connections: broker.connectionCount,
      clients: broker.counters.clientsConnected,
      sessions: broker.sessions.size,
      eventLoopLagSeconds: Math.round(sampler.lag.meanSeconds * 1e4) / 1e4,
    },
    { status: isHealthy ? 200 : 503 },
  );
}
