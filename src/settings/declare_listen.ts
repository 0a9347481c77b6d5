// The settings of what listens: clients, probes and the status page.
import { choice, row } from './row.ts'

const LATER = 'not supported yet'

export const LISTEN_ROWS = {
  listen_addr: row<readonly string[]>('list', {
    default: ['127.0.0.1', '::1'],
    help: 'Addresses that clients connect to; `*` is every address, an empty value leaves only the unix socket. As a default, ::1 is left out where the machine has no IPv6.',
    change: 'restart',
  }),
  listen_port: row<number>('integer', {
    default: 6432,
    defaultText: '6432; 5432 when DB_HOST, DB_NAME or VAULT_PATH is set',
    minimum: 0,
    maximum: 65535,
    help: "Port that clients connect to; also part of the unix socket's name. 0 lets the system choose.",
    change: 'restart',
    environment: ['LISTEN_PORT'],
  }),
  unix_socket_dir: row<string | undefined>('directory', {
    default: undefined,
    help: 'Directory of the unix socket `.s.PGSQL.<listen_port>`; without it there is none.',
    change: 'restart',
  }),
  unix_socket_mode: row<number>('mode', {
    default: 0o777,
    help: 'Permissions of the unix socket, octal.',
    change: 'restart',
  }),
  auth_type: choice(['any', 'trust'], {
    default: 'any',
    help: 'How clients prove who they are. `any` and `trust` let in everyone who can connect, so they need loopback addresses or a unix socket.',
    refused: {
      plain: LATER,
      md5: LATER,
      cert: LATER,
      hba: LATER,
      ldap: LATER,
      pam: LATER,
      'scram-sha-256': LATER,
    },
  }),
  max_client_conn: row<number>('integer', {
    default: 100,
    minimum: 1,
    maximum: 1_000_000,
    help: 'Most client connections at a time; further ones are refused.',
  }),
  client_login_timeout: row<number>('duration', {
    default: 60_000,
    help: 'Longest time that a client may take to log in; 0 is no limit.',
  }),
  ignore_startup_parameters: row<readonly string[]>('list', {
    default: ['extra_float_digits'],
    help: 'Startup parameters of clients that are dropped instead of refused.',
  }),
  track_extra_parameters: row<readonly string[]>('list', {
    default: ['IntervalStyle'],
    help: 'Parameters that are kept per client, beside client_encoding, DateStyle, TimeZone, standard_conforming_strings and application_name. The server must report them.',
    change: 'restart',
  }),
  max_packet_size: row<number>('size', {
    default: 2_147_483_647,
    minimum: 1024,
    maximum: 2_147_483_647,
    help: 'Largest message that passes; a larger one ends the connection.',
  }),
  http_addr: row<string>('text', {
    default: '*',
    help: 'Address of the probes and metrics; `*` is every address, an empty value switches them off.',
    change: 'restart',
  }),
  http_port: row<number>('integer', {
    default: 9090,
    minimum: 0,
    maximum: 65535,
    help: 'Port of the probes and metrics.',
    change: 'restart',
  }),
  admin_addr: row<string>('text', {
    default: '127.0.0.1',
    help: 'Address of the status page; an empty value switches it off.',
    change: 'restart',
  }),
  admin_port: row<number>('integer', {
    default: 9091,
    minimum: 0,
    maximum: 65535,
    help: 'Port of the status page.',
    change: 'restart',
  }),
  quitquitquit: row<boolean>('boolean', {
    default: false,
    help: "Whether `POST /quitquitquit` on the status page's port ends pglease.",
    change: 'restart',
  }),
}
