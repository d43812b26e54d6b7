import { formatDuration } from '../lib/duration.js';
import type { HealthFault } from '../lib/report.js';

/** The part of the way that a request is on. */
export type RequestPart = 'dns' | 'connect' | 'tls' | 'first-byte' | 'body';

/** Why a certificate is not accepted; an expired one says since when, whatever else is wrong with it. */
export function certificateWords(code: string, days: number | undefined): string {
  if (days !== undefined && days < 0) {
    const ago = -days === 1 ? 'less than a day ago' : `${-days - 1} ${-days === 2 ? 'day' : 'days'} ago`;
    return `the TLS certificate expired ${ago}`;
  }
  if (code === 'CERT_NOT_YET_VALID') return 'the TLS certificate is not valid yet';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'the TLS certificate is for another name';
  return `the TLS certificate is not trusted (${code})`;
}

/** What had been reached when the time was over. */
export function timeoutWords(part: RequestPart, timeout: number): string {
  const within = `within ${formatDuration(timeout)}`;
  const words: Readonly<Record<RequestPart, string>> = {
    dns: `the name was not resolved ${within}`,
    connect: `no connection ${within}`,
    tls: `connected, but the TLS handshake did not end ${within}`,
    'first-byte': `connected, but no answer ${within}`,
    body: `the answer began, but was not complete ${within}`,
  };
  return words[part];
}

/** What a system error code means on that part of the way. */
export function connectionWords(
  code: string | undefined,
  part: RequestPart,
): { fault: HealthFault; words: string } {
  const told = code === undefined ? '' : ` (${code})`;
  if (code === 'ENOTFOUND' || code === 'ENODATA')
    return { fault: 'dns', words: `the name does not resolve${told}` };
  if (code?.startsWith('EAI_')) return { fault: 'dns', words: `the name server did not answer${told}` };
  if (code === 'ECONNREFUSED') return { fault: 'connect', words: `connection refused${told}` };
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH' || code === 'EADDRNOTAVAIL')
    return { fault: 'route', words: `no route to the address from this machine${told}` };
  if (part === 'dns' || part === 'connect') return { fault: 'connect', words: `no connection${told}` };
  if (part === 'tls') return { fault: 'tls', words: `the TLS handshake failed${told}` };
  if (code?.startsWith('HPE_')) return { fault: 'cut', words: `the answer is not HTTP${told}` };
  return part === 'body'
    ? { fault: 'cut', words: `the answer was cut off${told}` }
    : { fault: 'cut', words: `the connection was closed without an answer${told}` };
}
