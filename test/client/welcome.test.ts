// The greeting: what the server reported, with the client's own values, made once for clients that ask for the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { welcomeBytes } from '../../src/client/welcome.ts'
import { ParameterNames, Parameters } from '../../src/wire/parameters.ts'
import { authenticationOk, parameterStatus } from '../../src/wire/reply.ts'

const NAMES = new ParameterNames(['search_path'])
const reported = () =>
  new Map([
    ['server_version', '18.1'],
    ['TimeZone', 'UTC'],
    ['application_name', ''],
    ['client_encoding', 'UTF8'],
  ])

function parametersOf(values: Record<string, string>): Parameters {
  const parameters = new Parameters(NAMES)
  for (const [name, value] of Object.entries(values)) assert.ok(parameters.set(name, value))
  return parameters
}

const greeting = (...values: [string, string][]) =>
  Buffer.concat([authenticationOk(), ...values.map(([name, value]) => parameterStatus(name, value))])

test("a client without wishes gets the server's values, in the server's order and spelling", () => {
  const server = reported()
  assert.deepEqual(welcomeBytes(server, parametersOf({})), greeting(...server))
})

test("the client's own values take the server's place, also empty ones; what is not reported is not told", () => {
  const parameters = parametersOf({ timezone: 'Asia/Tokyo', APPLICATION_NAME: 'app', client_encoding: '', search_path: 'mine' })
  assert.deepEqual(
    welcomeBytes(reported(), parameters),
    greeting(['server_version', '18.1'], ['TimeZone', 'Asia/Tokyo'], ['application_name', 'app'], ['client_encoding', '']),
  )
})

test('it is made once for the same values, and never given to a client with others', () => {
  const server = reported()
  const tokyo = welcomeBytes(server, parametersOf({ TimeZone: 'Asia/Tokyo' }))
  assert.equal(welcomeBytes(server, parametersOf({ TimeZone: 'Asia/Tokyo' })), tokyo)
  const paris = welcomeBytes(server, parametersOf({ TimeZone: 'Europe/Paris' }))
  assert.ok(paris.includes('Europe/Paris') && !paris.includes('Asia/Tokyo'))
  assert.deepEqual(welcomeBytes(server, parametersOf({})), greeting(...server))
  assert.deepEqual(welcomeBytes(server, parametersOf({ TimeZone: 'Asia/Tokyo' })), tokyo)
})

test('servers are told apart, also when they reported the same, and a value that changed is seen', () => {
  const [first, second] = [reported(), reported().set('server_version', '17.2')]
  const parameters = parametersOf({ TimeZone: 'Asia/Tokyo' })
  assert.ok(welcomeBytes(first, parameters).includes('18.1'))
  assert.ok(welcomeBytes(second, parameters).includes('17.2'))
  assert.ok(welcomeBytes(first, parameters).includes('18.1'))
  parameters.set('TimeZone', 'Europe/Paris')
  assert.ok(welcomeBytes(first, parameters).includes('Europe/Paris'))
})
