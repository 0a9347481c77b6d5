// Acceptance line B8: every limit and timeout has a test; a setting that is added without one fails the line.
import { join } from 'node:path'
import { GLOBALS } from '../../src/settings/declarations.ts'
import { DATABASE_ROWS } from '../../src/settings/declare_database.ts'
import { VAULT_ROWS } from '../../src/settings/declare_vault.ts'
import type { Kind } from '../../src/settings/row.ts'
import { type AcceptLine, exactly, type Figure, holds } from './accept_line.ts'
import { tallyFigures } from './accept_tests.ts'
import { repository, run } from './run.ts'
import { tally } from './tally.ts'

const LIMITS = 'test/e2e.limits.test.ts'
const POOLS = 'test/e2e.pool-limits.test.ts'
const POOLING = 'test/e2e.pooling.test.ts'
const TIMEOUTS = 'test/e2e.timeouts.test.ts'
const STATEMENTS = 'test/e2e.statements.test.ts'
const SHUTDOWN = 'test/e2e.shutdown.test.ts'
const HOSTS = 'test/e2e.hosts.test.ts'
const DNS = 'test/net/dns_cache.test.ts'

/** Each limit and timeout with the file and the name of a test that says what a client sees of it. */
const TESTS: Readonly<Record<string, readonly [file: string, name: string]>> = {
  cancel_wait_timeout: [LIMITS, 'a cancel request that waits for another one is given up after cancel_wait_timeout, without a word'],
  client_idle_timeout: [TIMEOUTS, 'client_idle_timeout ends a client that rests, and none that is in a transaction'],
  client_login_timeout: [POOLS, 'a client that does not finish its login is told what pgbouncer tells it'],
  default_pool_size: [POOLS, 'default_pool_size lets further clients wait, until query_wait_timeout'],
  dns_max_ttl: [HOSTS, 'a host name with another address: server connections to the old one are replaced, and nobody is disconnected'],
  dns_nxdomain_ttl: [DNS, 'a name that does not exist is not asked for again within dns_nxdomain_ttl, doubted or not'],
  drain_timeout: [SHUTDOWN, 'drain_timeout: idle clients are ended, transactions finish'],
  idle_transaction_timeout: [TIMEOUTS, 'idle_transaction_timeout ends a transaction that is left open, also a failed one'],
  max_client_conn: [POOLS, 'a client beyond max_client_conn is told what pgbouncer tells it'],
  max_db_client_connections: [POOLS, 'a client beyond max_db_client_connections is refused, and let in when one leaves'],
  max_db_connections: [POOLS, 'max_db_connections lets further clients wait, until query_wait_timeout'],
  max_packet_size: [LIMITS, 'a message larger than max_packet_size ends the client, with the severity and SQLSTATE of pgbouncer'],
  max_pinned_connections: [STATEMENTS, 'beyond max_pinned_connections a client that prepares in SQL is told so, when its transaction ends'],
  max_prepared_statements: [LIMITS, 'with max_prepared_statements 0 a named statement is refused with the reason'],
  max_server_connections: [POOLS, 'max_server_connections holds over all databases, and an unused link of one gives its place to another'],
  max_user_client_connections: [POOLS, 'a client beyond max_user_client_connections is refused, and let in when one leaves'],
  max_user_connections: [POOLS, 'max_user_connections lets further clients wait, until query_wait_timeout'],
  min_pool_size: [POOLS, 'min_pool_size keeps links open that nobody needs'],
  pool_size: [POOLING, 'a client that waits is told so, then refused, and later ones are served'],
  query_timeout: [TIMEOUTS, 'query_timeout ends a query that runs, and cancels it'],
  query_wait_notify: [POOLING, 'a client that waits is told so, then refused, and later ones are served'],
  query_wait_timeout: [POOLS, 'max_db_connections lets further clients wait, until query_wait_timeout'],
  reserve_pool_size: [POOLS, 'the reserve serves a client that has waited for reserve_pool_timeout, and no more than its size'],
  reserve_pool_timeout: [POOLS, 'the reserve serves a client that has waited for reserve_pool_timeout, and no more than its size'],
  server_check_delay: [LIMITS, 'a link that was idle for server_check_delay is tested first, and replaced when the test fails'],
  server_connect_timeout: [
    LIMITS,
    'a server that does not answer fails after server_connect_timeout; clients wait and are served when it does',
  ],
  server_idle_timeout: [LIMITS, 'a link that is idle for server_idle_timeout is closed'],
  server_lifetime: [LIMITS, 'a link older than server_lifetime is replaced, but not in a transaction'],
  server_login_retry: [
    LIMITS,
    'while the server refuses logins clients are told so; within server_login_retry of the end of it they are served',
  ],
  shutdown_delay: [SHUTDOWN, 'shutdown_delay: served for that long although nobody is there'],
  shutdown_timeout: [SHUTDOWN, 'shutdown_timeout: what still runs is interrupted, status 143'],
  transaction_timeout: [TIMEOUTS, 'transaction_timeout ends a transaction, whether it runs or rests, and no chain of short ones'],
}

const KINDS: ReadonlySet<Kind> = new Set<Kind>(['integer', 'duration', 'size'])

/** Numbers that limit nothing are ports; what concerns Vault is list A's. */
export function limitSettings(): string[] {
  const rows = new Map([...GLOBALS, ...Object.entries(DATABASE_ROWS)])
  return [...rows].filter(([name, { kind }]) => KINDS.has(kind) && !name.endsWith('_port') && !(name in VAULT_ROWS)).map(([name]) => name)
}

/** Of the settings `names`, those without a test in the table. */
export const withoutTest = (names: readonly string[]): string[] => names.filter((name) => TESTS[name] === undefined)

const LONGEST_MS = 15 * 60_000

export const line: AcceptLine = {
  name: 'B8',
  title:
    'Every limit and timeout has a test that compares SQLSTATE and text with a real pgbouncer (Debian) where 1.18 has it, else with the list.',
  async run({ say }): Promise<Figure[]> {
    const names = limitSettings()
    const files = [...new Set(Object.values(TESTS).map(([file]) => file))]
    const chosen = [...new Set(Object.values(TESTS).map(([, name]) => name))]
    const only = chosen.map((name) => name.replace(/[^\w ]/g, '.')).join('|')
    say(`${names.length} limits and timeouts, ${chosen.length} tests of ${files.length} files`)
    const command = [process.execPath, 'test', '--timeout=120000', '-t', `^(${only})$`, ...files.map((file) => join(repository, file))]
    const result = await run(command, { output: 'collect', env: { NO_COLOR: '1' }, timeoutMs: LONGEST_MS })
    const counts = tally(result.output, result.code)
    if (counts.failed > 0) console.log(result.output)
    const passed = new Set([...result.output.matchAll(/^\(pass\) (.*?)(?: \[[\d.]+m?s\])?$/gm)].map(([, name]) => name))
    return [
      exactly('limits and timeouts without a test', withoutTest(names).join(', ') || 0, 0),
      exactly(
        'tests of settings that there are none of',
        Object.keys(TESTS)
          .filter((name) => !names.includes(name))
          .join(', ') || 0,
        0,
      ),
      ...names
        .filter((name) => TESTS[name] !== undefined)
        .map((name) => holds(name, passed.has(TESTS[name]?.[1]), `no test ${TESTS[name]?.[1]} passed`)),
      ...tallyFigures('tests', counts),
    ]
  },
}
