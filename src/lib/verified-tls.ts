import type { Problem } from './report.js';

/**
 * Options of every TLS connection of this program. They are given each time, because Node takes what is left out from the
 * environment of the job, where NODE_TLS_REJECT_UNAUTHORIZED=0 would accept any certificate.
 */
export const VERIFIED_TLS = { rejectUnauthorized: true, minVersion: 'TLSv1.2' } as const;

/**
 * Removes that variable from `env`, for the connections that a library makes; to be called before the first. Returns a
 * warning for a person who had set it.
 */
export function verifyAlways(env: NodeJS.ProcessEnv): Problem | undefined {
  const was = env.NODE_TLS_REJECT_UNAUTHORIZED;
  delete env.NODE_TLS_REJECT_UNAUTHORIZED;
  if (was !== '0') return undefined;
  return {
    message: `NODE_TLS_REJECT_UNAUTHORIZED=0 is set in this job, and counts for nothing here: every certificate is verified`,
    next: 'Take it out. An authority of your own is made known with NODE_EXTRA_CA_CERTS (the path of a PEM file) in the env of the job, the one of the database with database-ca-cert.',
  };
}
