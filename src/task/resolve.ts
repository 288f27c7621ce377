import { whyOnlyUndici } from './client.ts';
import { DEFAULTS, defaultMethod, defaultName } from './defaults.ts';
import type { Report, TaskFields } from './read-input.ts';
import { resolveLoad } from './resolve-load.ts';
import type { ClientChoice, ConnectionsSpec, LoadSpec, RedirectsSpec, RequestSpec, TaskSpec, TlsSpec } from './spec.ts';

/**
 * Puts in the defaults and applies the rules that span several keys. The task is only to be used when there is no
 * problem, here or in the fields.
 */
export function resolveTask(fields: TaskFields, report: Report): TaskSpec {
  const request = resolveRequest(fields.request, report);
  const load = resolveLoad(fields.load, report);
  const { name, client = DEFAULTS.client, checks = [], slos = [] } = fields.plain.values;
  const { connect, response, total } = fields.timeouts.values;
  const redirects = resolveRedirects(fields.redirects);
  const obstacle = whyOnlyUndici({ redirects });
  if (client !== 'auto' && client !== 'undici' && obstacle !== null) {
    report(['client'], `expected undici or auto, found ${client}: ${obstacle}, and the task asks for that`);
  }
  return {
    name: name ?? (request.url === '' ? '' : defaultName(request.url)),
    request,
    load,
    client,
    connections: resolveConnections(fields.connections, { load, client }, report),
    timeouts: {
      connectMs: connect ?? DEFAULTS.connectMs,
      responseMs: response ?? DEFAULTS.responseMs,
      totalMs: total ?? DEFAULTS.totalMs,
    },
    redirects,
    tls: resolveTls(fields.tls, report),
    checks,
    slos,
  };
}

function resolveRequest({ values, given }: TaskFields['request'], report: Report): RequestSpec {
  const { url = '', headers = [], body = null, method = defaultMethod(given.has('body')) } = values;
  const names = headers.map((header) => header.name.toLowerCase());
  if (names.filter((name) => name === 'host').length > 1) {
    report(['request', 'headers'], 'expected at most one Host header, found several');
  }
  if (url !== '' && names.includes('authorization')) {
    const { username, password } = new URL(url);
    if (username !== '' || password !== '') {
      report(['request', 'headers'], 'expected one source of Authorization, found a header and a user in the URL');
    }
  }
  return { method, url, headers, body };
}

/** @param task the resolved load, of use only when its own fields were right, and client */
function resolveConnections(
  { values, given }: TaskFields['connections'],
  { load, client }: { load: LoadSpec; client: ClientChoice },
  report: Report,
): ConnectionsSpec {
  if (given.has('streams') && client !== 'http2') {
    report(['connections', 'streams'], `expected only with the client http2, found with ${client}`);
  }
  const max = values.max ?? null;
  const each = `each has a ${client === 'http2' ? 'stream' : 'connection'} of its own`;
  if (max !== null && load.model === 'closed' && load.stages.length > 0 && max < load.maxInFlight) {
    report(['connections', 'max'], `expected at least the ${load.maxInFlight} users, ${each}; found ${max}`);
  }
  return {
    max,
    reuse: values.reuse ?? DEFAULTS.reuseConnections,
    streams: values.streams ?? DEFAULTS.streams,
  };
}

function resolveRedirects({ values }: TaskFields['redirects']): RedirectsSpec {
  return { follow: values.follow ?? DEFAULTS.followRedirects, max: values.max ?? DEFAULTS.maxRedirects };
}

function resolveTls({ values, given }: TaskFields['tls'], report: Report): TlsSpec {
  if (given.has('key') && !given.has('cert')) report(['tls', 'key'], 'expected a cert with the key, found none');
  if (given.has('cert') && !given.has('key')) {
    report(['tls', 'cert'], 'expected a key with the cert, found none; when one file has both, name it twice');
  }
  return {
    verify: values.verify ?? DEFAULTS.verifyTls,
    caFile: values.ca ?? null,
    certFile: values.cert ?? null,
    keyFile: values.key ?? null,
    serverName: values.serverName ?? null,
  };
}
