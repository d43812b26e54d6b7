import { errorCode, type Problem } from '../../lib/report.js';
import { SqlError } from './sql-error.js';

export interface ConnectProblem extends Problem {
  /** Whether another try in a moment can help. Never true for a refused login: Supabase blocks the caller's address for two minutes after ten of them. */
  retry: boolean;
}

const POOLER =
  'Use the session pooler URL (Supabase dashboard: Connect, Session pooler); the direct host is reachable over IPv6 only.';
const CERTIFICATE =
  'Give the certificate authority as database-ca-cert (PEM). Supabase projects need none: their roots are known here.';

/**
 * Why a connection could not be made, in words for a person. Holds no host name: it is often part of a secret.
 * `source`: what a person knows the address by.
 */
export function connectProblem(error: unknown, source = 'database-url'): ConnectProblem {
  const { message, next, ...problem } = problemFor(error);
  const named = (text: string): string => text.replaceAll('database-url', source);
  return { ...problem, message: named(message), ...(next === undefined ? {} : { next: named(next) }) };
}

function problemFor(error: unknown): ConnectProblem {
  const code = errorCodeOf(error);
  const said = error instanceof Error ? error.message : String(error);
  if (error instanceof SqlError) return refusedByServer(error);
  const known = BY_CODE[code];
  if (known) return { ...known, code };
  if (said.includes('does not support SSL')) {
    return {
      message: 'the server does not speak TLS, and nothing is sent in plaintext off this machine',
      next: 'Turn TLS on at the server, or use a URL that points to it through a TLS pooler.',
      retry: false,
    };
  }
  if (CERTIFICATE_CODES.has(code)) {
    return {
      message: 'the certificate of the database is not signed by a known authority',
      code,
      next: CERTIFICATE,
      retry: false,
    };
  }
  if (/timeout/i.test(said) || said.includes('terminated')) {
    return {
      message: 'the database did not finish the connection in time',
      next: 'Is the server up, and reachable from here?',
      retry: true,
    };
  }
  return {
    message: `cannot connect to the database: ${code === '' ? (error instanceof Error ? error.name : 'error') : code}`,
    ...(code === '' ? {} : { code }),
    next: 'Check database-url.',
    retry: false,
  };
}

const BY_CODE: Readonly<Record<string, Omit<ConnectProblem, 'code'>>> = {
  ENOTFOUND: {
    message: 'the host name in database-url does not exist',
    next: 'Copy the URL again from the Supabase dashboard (Connect). A paused or deleted project has no host name.',
    retry: false,
  },
  EAI_AGAIN: {
    message: 'the name server did not answer for the host in database-url',
    next: 'Run again in a moment.',
    retry: true,
  },
  ENETUNREACH: {
    message: 'the database cannot be reached over the network of this machine',
    next: POOLER,
    retry: false,
  },
  EHOSTUNREACH: {
    message: 'the database cannot be reached over the network of this machine',
    next: POOLER,
    retry: false,
  },
  EADDRNOTAVAIL: {
    message: 'the database cannot be reached over the network of this machine',
    next: POOLER,
    retry: false,
  },
  ECONNREFUSED: {
    message: 'nothing listens at the address in database-url',
    next: 'Is the server up? Check host and port.',
    retry: true,
  },
  ECONNRESET: {
    message: 'the connection to the database was cut while it was made',
    next: 'Run again; where it stays so, check the network and the port.',
    retry: true,
  },
  EPIPE: {
    message: 'the connection to the database was cut while it was made',
    next: 'Run again; where it stays so, check the network and the port.',
    retry: true,
  },
  ETIMEDOUT: {
    message: 'the database did not answer: a firewall, or a wrong host or port',
    next: `Check host and port, and that this machine may reach them. ${POOLER}`,
    retry: true,
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    message: 'the certificate of the database is for another host name: this may not be your server',
    next: 'Use the host name that the certificate was made for.',
    retry: false,
  },
  CERT_HAS_EXPIRED: {
    message: 'the certificate of the database has expired',
    next: 'Renew the certificate at the server.',
    retry: false,
  },
};

/** Of certificates that no known authority has signed. */
export const CERTIFICATE_CODES: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
]);

function refusedByServer(error: SqlError): ConnectProblem {
  const { code, message } = error;
  if (/tenant or user not found/i.test(message)) {
    return {
      message:
        'the pooler does not know this project: it is paused or deleted, or host, region or user is wrong',
      code,
      next: 'Look at https://supabase.com/dashboard/projects: restore a paused project. The user is postgres.<project-ref>.',
      retry: false,
    };
  }
  if (code.startsWith('28')) {
    return {
      message: `the database refused the login: ${message}`,
      code,
      next: 'Check user and password in database-url. Not tried again, because repeated failures get the address blocked.',
      retry: false,
    };
  }
  if (/startup parameter/.test(message))
    return {
      message: `the pooler does not take what database-url asks for: ${message}`,
      code,
      next: 'Give the direct URL; or take options out of database-url, and give the role what they say (alter role ... set search_path = ...).',
      retry: false,
    };
  if (code === '3D000')
    return { message, code, next: 'Check the database name at the end of the URL.', retry: false };
  if (code === '53300') {
    return {
      message: 'the database has no free connection',
      code,
      next: 'Close idle clients, or use the pooler URL.',
      retry: true,
    };
  }
  if (code === '57P03')
    return {
      message: `the database is not ready: ${message}`,
      code,
      next: 'Run again in a moment.',
      retry: true,
    };
  if (code === '57P01' || code === '57P02')
    return { message: 'the database is going down', code, next: 'Run again in a moment.', retry: true };
  return {
    message: `the database refused the connection: ${message}`,
    code,
    next: 'Check database-url.',
    retry: false,
  };
}

/** The code of an error; with several addresses tried, the first that says more than a time-out. */
export function errorCodeOf(error: unknown): string {
  if (error instanceof AggregateError) {
    const codes = error.errors.map(errorCodeOf).filter((code) => code !== '');
    return codes.find((code) => code === 'ECONNREFUSED') ?? codes[0] ?? '';
  }
  return errorCode(error) ?? '';
}
