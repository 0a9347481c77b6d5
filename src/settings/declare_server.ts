// The settings of connections to PostgreSQL: deadlines, TLS and which logins are acceptable.
import { choice, choices, row } from './row.ts'

export const SERVER_ROWS = {
  server_connect_timeout: row<number>('duration', {
    default: 15_000,
    help: 'Longest time for connecting and logging in to a server, and for each query of pglease itself, such as `server_reset_query`; 0 is no limit.',
  }),
  server_tls_sslmode: choice(['disable', 'prefer', 'require', 'verify-ca', 'verify-full'], {
    default: 'prefer',
    defaultText: 'require for a Vault credential on a host that is not local, and with DB_HOST or DB_NAME; else prefer',
    help: 'TLS to the server: `require` encrypts, `verify-ca` also checks the certificate, `verify-full` also the host name. A unix socket has none.',
    perDatabase: true,
    synonyms: { allow: 'prefer' },
  }),
  server_tls_ca_file: row<string | undefined>('file', {
    default: undefined,
    defaultText: "the system's certificates",
    help: 'PEM file of the authorities that sign server certificates.',
    perDatabase: true,
  }),
  server_tls_cert_file: row<string | undefined>('file', {
    default: undefined,
    help: 'PEM file of the certificate that is shown to the server.',
    perDatabase: true,
  }),
  server_tls_key_file: row<string | undefined>('file', {
    default: undefined,
    help: 'PEM file of the key of `server_tls_cert_file`.',
    perDatabase: true,
  }),
  server_require_auth: choices(['scram-sha-256', 'md5', 'password', 'trust'], {
    default: ['scram-sha-256'],
    help: 'Ways in which a server may ask for the credential; any other ends the login. `password` (clear text) needs verify-full or a unix socket, `trust` is a server that asks for nothing.',
    perDatabase: true,
  }),
  dns_max_ttl: row<number>('duration', {
    default: 15_000,
    help: 'How long the addresses of a host name are used before it is resolved again; a failed connection asks at once.',
  }),
  dns_nxdomain_ttl: row<number>('duration', {
    default: 15_000,
    help: 'How long a host name that does not exist is not asked for again.',
  }),
  server_role: row<string | undefined>('text', {
    default: undefined,
    help: 'Role that every server connection takes on, so that what is created belongs to it and not to a leased role.',
    perDatabase: true,
  }),
  connect_query: row<string | undefined>('query', {
    default: undefined,
    help: 'Query that runs once on each new server connection.',
    perDatabase: true,
  }),
}
