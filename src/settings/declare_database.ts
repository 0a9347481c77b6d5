// The settings that only a database has.
import type { Secret } from '../secret.ts'
import { DEFAULT_PORT } from './hosts.ts'
import { choice, row } from './row.ts'

export const DATABASE_ROWS = {
  host: row<string | undefined>('text', {
    default: undefined,
    defaultText: 'none: must be set',
    help: 'Name or address of the server, or the directory of its unix socket; several, separated by commas, are one cluster of servers.',
  }),
  port: row<readonly number[]>('ports', {
    default: [DEFAULT_PORT],
    minimum: 1,
    maximum: 65535,
    help: 'Port of the server; of several hosts one for all, or one for each.',
  }),
  load_balance_hosts: choice(['round-robin', 'disable', 'random'], {
    default: 'round-robin',
    help: 'Which of several hosts a new server connection goes to: the next one, the one used last until it fails, or any. A host that failed comes last for 15 s.',
  }),
  target_session_attrs: choice(['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'], {
    default: 'any',
    help: 'What a server must be to be used, as in libpq. Server connections to one that is no longer so are replaced.',
  }),
  dbname: row<string | undefined>('text', {
    default: undefined,
    defaultText: "the database's name here",
    help: 'Name of the database on the server.',
  }),
  user: row<string | undefined>('text', {
    default: undefined,
    help: 'User that logs in to the server; instead of `vault_path`.',
  }),
  password: row<Secret | undefined>('secret', {
    default: undefined,
    help: 'Password of `user`; `password_file` reads it from a file.',
  }),
  vault_path: row<string | undefined>('text', {
    default: undefined,
    help: 'Where Vault gives out the credential, such as `database/creds/app`; instead of `user`.',
  }),
  pool_size: row<number | undefined>('integer', {
    default: undefined,
    defaultText: '`default_pool_size`',
    minimum: 0,
    maximum: 100_000,
    help: 'Most server connections of this database; 0 is no limit.',
    perUser: true,
  }),
}
