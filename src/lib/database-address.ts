import type { Secret } from './secret.js';

/** What the parameters of a database URL ask for, as far as they are honoured. */
export interface UrlParameters {
  /** From `sslmode`: true for `disable`, which is honoured on loopback only. */
  readonly plaintext: boolean;
  /** The server's `options`, such as `-c search_path=tenant`: what every session begins with. */
  readonly options?: string;
  readonly applicationName?: string;
  /** Milliseconds that one attempt to connect may take. */
  readonly connectTimeout?: number;
}

/** A Postgres URL taken apart. The parts are used one by one, so that nothing in the URL can change what TLS does. */
export interface DatabaseAddress extends UrlParameters {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret;
  readonly database: string;
  /** On this machine: the only case in which plaintext is allowed. */
  readonly loopback: boolean;
}

/** The two ways to a database: PostgreSQL's own protocol, or Supabase's Management API. */
export type DatabaseConnection =
  | { readonly kind: 'url'; readonly address: DatabaseAddress; readonly caCertificate?: string }
  | {
      readonly kind: 'management-api';
      readonly projectRef: string;
      readonly accessToken: Secret;
      readonly apiUrl: string;
      readonly caCertificate?: string;
    };
