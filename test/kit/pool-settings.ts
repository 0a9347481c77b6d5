// The settings of a pool under test: the defaults, with a small pool.
import type { PoolSettings } from '../../src/pool/pool_parts.ts'

export const POOL_SETTINGS: PoolSettings = {
  pool_size: 3,
  pool_mode: 'transaction',
  server_reset_query: 'DISCARD ALL',
  server_reset_query_always: false,
  min_pool_size: 0,
  reserve_pool_size: 0,
  reserve_pool_timeout: 0,
  server_round_robin: false,
  server_fast_close: false,
  server_lifetime: 3_600_000,
  server_idle_timeout: 600_000,
  server_check_delay: 30_000,
  server_check_query: '<empty>',
  server_connect_timeout: 15_000,
  query_wait_timeout: 120_000,
  query_wait_notify: 5_000,
  server_login_retry: 15_000,
  max_pinned_connections: 0,
}
