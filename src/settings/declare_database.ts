// The settings that only a database has.
import type { Secret } from '../secret.ts'
import { row } from './row.ts'

export const DATABASE_ROWS = {
  host: row<string | undefined>('text', {
    default: undefined,
    defaultText: 'none: must be set',
    help: 'Name or address of the server, or the directory of its unix socket.',
  }),
  port: row<number>('integer', {
    default: 5432,
    minimum: 1,
    maximum: 65535,
    help: 'Port of the server.',
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
  }),
}
