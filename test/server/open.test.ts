// A link to one of several hosts or addresses: those that fail or are not what is asked for are passed over.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { DnsCache } from '../../src/net/dns_cache.ts'
import { TransportError } from '../../src/net/transport.ts'
import { Secret } from '../../src/secret.ts'
import { Hosts } from '../../src/server/hosts.ts'
import type { Link } from '../../src/server/link.ts'
import { type OpenParts, openLink } from '../../src/server/open.ts'
import { openReplication } from '../../src/server/replication_link.ts'
import type { SessionAttribute } from '../../src/server/session_attributes.ts'
import { ParameterNames } from '../../src/wire/parameters.ts'
import { backendKeyData, errorResponse, parameterStatus, readyForQuery } from '../../src/wire/reply.ts'
import { ScramCache } from '../../src/wire/scram.ts'
import type { ReplicationKind } from '../../src/wire/startup.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { MemoryNetwork } from '../kit/memory-transport.ts'
import { OK, playServer, type Step, wireMessage } from '../kit/scripted-server.ts'

const READY = [backendKeyData(1, Buffer.from('1234')), readyForQuery('I')]
const reporting = (inHotStandby: 'on' | 'off'): Step[] => [
  Buffer.concat([OK, parameterStatus('in_hot_standby', inHotStandby), parameterStatus('default_transaction_read_only', 'off'), ...READY]),
]
/** A server before version 14: answers the question with `cell`. */
const silent = (cell: 't' | 'f'): Step[] => [
  Buffer.concat([OK, ...READY]),
  Buffer.concat([wireMessage('D', `\0\x01\0\0\0\x01${cell}`), wireMessage('C', 'SELECT 1\0'), readyForQuery('I')]),
]
const failing = (sqlstate: string): Step[] => [errorResponse({ severity: 'FATAL', sqlstate, message: 'no' })]
const PRIMARY = reporting('off')
const STANDBY = reporting('on')

/** The servers by their addresses; one that is undefined refuses connections. */
function world(
  attribute: SessionAttribute,
  servers: Record<string, Step[] | undefined>,
  names: Record<string, string[]> = {},
  settings: { connect_query?: string; server_role?: string } = {},
) {
  const asked: string[] = []
  /** What the servers were sent. */
  const said: Buffer[] = []
  const network = new MemoryNetwork((far, _near, address) => {
    const host = address.kind === 'tcp' ? address.host : ''
    asked.push(host)
    const steps = servers[host]
    if (steps === undefined) throw new TransportError('ECONNREFUSED', `${host} refused`)
    const heard = (step: Step): Step => {
      if (!Buffer.isBuffer(step)) return step
      return (message) => {
        said.push(message)
        return step
      }
    }
    playServer(far, steps.map(heard))
  })
  const clock = new FakeClock()
  const list = Object.keys(Object.keys(names).length > 0 ? names : servers).map((host) => ({ host, port: 5432 }))
  const hosts = new Hosts(list, 'disable', clock)
  const parts: OpenParts = {
    network,
    clock,
    hosts,
    dns: new DnsCache({ maxTtlMs: 1_000, nxdomainTtlMs: 1_000 }, clock, async (host) => names[host] ?? [host]),
    settings: {
      target_session_attrs: attribute,
      dbname: 'app',
      connect_query: settings.connect_query,
      server_role: settings.server_role,
      server_tls_sslmode: 'disable',
      server_tls_ca_file: undefined,
      server_tls_cert_file: undefined,
      server_tls_key_file: undefined,
      server_require_auth: ['trust'],
    },
    timeoutMs: 1_000,
    names: new ParameterNames([]),
    scramCache: new ScramCache(),
    meter: { query() {}, transaction() {} },
    nextId: () => 1,
  }
  const credential = { source: 's', generation: 1, user: 'u', password: new Secret('p') }
  const open = (): Promise<Link> => openLink(parts, credential)
  const replicate = (kind: ReplicationKind) => openReplication(parts, credential, { kind, parameters: [['TimeZone', 'UTC']] })
  /** Where the link went, or what the error is. */
  const outcome = async (): Promise<string> => {
    try {
      const { address } = (await open()).facts.target
      return address.kind === 'tcp' ? address.host : address.path
    } catch (error) {
      return error instanceof PgleaseError ? error.code : String(error)
    }
  }
  return { outcome, open, replicate, asked, network, said }
}

test('a host that is not what is asked for, refuses, or fails is passed over', async () => {
  const rows: [SessionAttribute, Step[] | undefined, Step[] | undefined, string][] = [
    ['any', STANDBY, PRIMARY, 'a'],
    ['any', undefined, PRIMARY, 'b'],
    ['any', failing('28P01'), PRIMARY, 'b'],
    ['any', failing('57P03'), PRIMARY, 'b'],
    ['any', failing('3D000'), failing('3D000'), 'database_missing'],
    ['read-write', STANDBY, PRIMARY, 'b'],
    ['read-write', STANDBY, undefined, 'connect_refused'],
    ['read-write', STANDBY, STANDBY, 'no_host_fits'],
    ['primary', STANDBY, PRIMARY, 'b'],
    ['standby', PRIMARY, STANDBY, 'b'],
    ['read-only', PRIMARY, STANDBY, 'b'],
    ['read-write', silent('f'), silent('t'), 'b'],
    ['read-write', silent('f'), silent('f'), 'no_host_fits'],
    ['prefer-standby', PRIMARY, STANDBY, 'b'],
    ['prefer-standby', PRIMARY, PRIMARY, 'a'],
    ['prefer-standby', PRIMARY, undefined, 'a'],
    ['prefer-standby', silent('f'), silent('t'), 'b'],
  ]
  for (const [attribute, a, b, expected] of rows) {
    assert.equal(await world(attribute, { a, b }).outcome(), expected, `${attribute} ${expected}`)
  }
})

test('a replication connection has the parameters of its client and no server_role; without SQL a server is taken as it is', async () => {
  const settings = { connect_query: 'SET x TO y', server_role: 'app' }
  const physical = world('primary', { a: silent('f') }, {}, settings)
  assert.equal((await physical.replicate('physical')).closeReason, undefined)
  const told = Buffer.concat(physical.said).toString('latin1')
  assert.match(told, /TimeZone\0UTC\0replication\0true\0/)
  assert.doesNotMatch(told, /role\0|SET x/)
  await assert.rejects(world('primary', { a: STANDBY }).replicate('physical'), /no host is what target_session_attrs asks for/)
  const logical = world('primary', { a: [...silent('t'), Buffer.concat([wireMessage('C', 'SET\0'), readyForQuery('I')])] }, {}, settings)
  await logical.replicate('logical')
  assert.match(Buffer.concat(logical.said).toString('latin1'), /replication\0database\0.*SET x TO y/s)
  await assert.rejects(world('primary', { a: silent('f') }).replicate('logical'), /no host is what/)
})

test('each address of a name is tried, and the server that was not wanted is left in order', async () => {
  const { outcome, asked, network } = world(
    'read-write',
    { '192.0.2.1': STANDBY, '192.0.2.2': PRIMARY },
    { db: ['192.0.2.1', '192.0.2.2'] },
  )
  assert.deepEqual([await outcome(), asked], ['192.0.2.2', ['192.0.2.1', '192.0.2.2']])
  assert.equal(network.connections[0]?.written.at(-1)?.toString('latin1'), 'X\0\0\0\x04')
  const preferring = world('prefer-standby', { '192.0.2.1': PRIMARY, '192.0.2.2': STANDBY }, { db: ['192.0.2.1', '192.0.2.2'] })
  assert.equal(await preferring.outcome(), '192.0.2.2')
  const refused = world('any', { '192.0.2.1': failing('28P01'), '192.0.2.2': PRIMARY }, { db: ['192.0.2.1', '192.0.2.2'] })
  assert.deepEqual([await refused.outcome(), refused.asked], ['login_refused', ['192.0.2.1']])
})

test('a link knows what its server reported, and hears of a change', async () => {
  const { open } = world('standby', { a: STANDBY })
  const link = await open()
  assert.equal(link.facts.fit?.unfit, false)
  link.data(parameterStatus('in_hot_standby', 'off'))
  assert.equal(link.facts.fit?.unfit, true)
})
