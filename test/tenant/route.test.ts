// Which database of the configuration a client gets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Routes } from '../../src/tenant/route.ts'

const named = (database: string) => ({ user: 'u', database, key: '' })

test('a physical replication connection that names no database goes to the only one', () => {
  const routes = new Routes<string>()
  assert.equal(routes.findServer(named('replication')), undefined)
  routes.add('app', 'app')
  assert.equal(routes.findServer(named('app')), 'app')
  assert.equal(routes.findServer(named('replication')), 'app')
  assert.equal(routes.findServer(named('other')), undefined)
  assert.equal(routes.find(named('replication')), undefined)
  routes.add('second', 'second')
  assert.equal(routes.findServer(named('replication')), undefined, 'of several it is not known which')
  routes.add('replication', 'third')
  assert.equal(routes.findServer(named('replication')), 'third')
})
