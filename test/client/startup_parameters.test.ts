// The values that a session begins with: those of the server and its own, shared with no other session.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { initialParameters, type Wishes } from '../../src/client/startup_parameters.ts'
import { ParameterNames, type Parameters } from '../../src/wire/parameters.ts'

const NAMES = new ParameterNames([])
const server = () =>
  new Map([
    ['TimeZone', 'UTC'],
    ['server_version', '18.1'],
    ['application_name', ''],
  ])
const valuesOf = ({ names, values }: Parameters) => Object.fromEntries(names.names.map((name, index) => [name, values[index]]))
const UNKNOWN = { client_encoding: undefined, DateStyle: undefined, standard_conforming_strings: undefined }

test("a session begins with what the server reported of the tracked parameters, and with its own values in the server's place", () => {
  const parameters = initialParameters(server(), [['timezone', 'Asia/Tokyo']], NAMES)
  assert.deepEqual(valuesOf(parameters), { ...UNKNOWN, TimeZone: 'Asia/Tokyo', application_name: '' })
})

test('sessions with the same wishes begin alike and change apart', () => {
  const reported = server()
  const wanted = (): Wishes => [['application_name', 'app']]
  const first = initialParameters(reported, wanted(), NAMES)
  first.set('TimeZone', 'Europe/Paris')
  const second = initialParameters(reported, wanted(), NAMES)
  assert.deepEqual(valuesOf(second), { ...UNKNOWN, TimeZone: 'UTC', application_name: 'app' })
  second.set('DateStyle', 'ISO, DMY')
  const third = initialParameters(reported, wanted(), NAMES)
  assert.deepEqual(valuesOf(third), { ...UNKNOWN, TimeZone: 'UTC', application_name: 'app' })
  assert.deepEqual(valuesOf(first), { ...UNKNOWN, TimeZone: 'Europe/Paris', application_name: 'app' })
  assert.equal(new Set([first, second, third].map(({ key }) => key)).size, 3)
  assert.equal(initialParameters(reported, wanted(), NAMES).key, third.key)
})

test('other wishes, another server and other tracked names are told apart', () => {
  const reported = server()
  const zone = (wanted: Wishes, from = reported, names = NAMES) => initialParameters(from, wanted, names)
  assert.equal(valuesOf(zone([['TimeZone', 'Asia/Tokyo']])).TimeZone, 'Asia/Tokyo')
  assert.equal(valuesOf(zone([['TimeZone', 'Europe/Paris']])).TimeZone, 'Europe/Paris')
  assert.equal(valuesOf(zone([['application_name', 'Europe/Paris']])).TimeZone, 'UTC')
  assert.equal(valuesOf(zone([])).TimeZone, 'UTC')
  assert.equal(valuesOf(zone([], server().set('TimeZone', 'CET'))).TimeZone, 'CET')
  assert.equal(valuesOf(zone([['server_version', '1']], reported, new ParameterNames(['server_version']))).server_version, '1')
  assert.equal(valuesOf(zone([['server_version', '1']])).server_version, undefined)
})
