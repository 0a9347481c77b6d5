// Parameters that follow a session: names without case, keys, differences, and SQL that no value can break out of.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ALWAYS_TRACKED, ParameterNames, Parameters, quoteIdentifier, quoteLiteral } from '../../src/wire/parameters.ts'

const NAMES = new ParameterNames(['search_path', 'odd"name'])

function parametersOf(values: Record<string, string>): Parameters {
  const parameters = new Parameters(NAMES)
  for (const [name, value] of Object.entries(values)) assert.equal(parameters.set(name, value), true, name)
  return parameters
}

test('names: the usual ones first, each once, compared without case', () => {
  const names = new ParameterNames(['Search_Path', 'timezone', 'SEARCH_PATH', 'IntervalStyle'])
  assert.deepEqual(names.names, [...ALWAYS_TRACKED, 'Search_Path', 'IntervalStyle'])
  assert.equal(names.index('TIMEZONE'), ALWAYS_TRACKED.indexOf('TimeZone'))
  assert.equal(names.index('search_path'), ALWAYS_TRACKED.length)
  assert.deepEqual([names.index('work_mem'), names.index('')], [-1, -1])
})

test('a parameter that is not tracked is refused and changes nothing', () => {
  const parameters = parametersOf({ TimeZone: 'UTC' })
  const key = parameters.key
  assert.equal(parameters.set('work_mem', '1GB'), false)
  assert.deepEqual([parameters.key, parameters.values.includes('1GB')], [key, false])
})

test('the key is the same for the same values, however they came, and follows every change', () => {
  const first = parametersOf({ TimeZone: 'UTC', application_name: 'a' })
  const second = parametersOf({ application_name: 'x', timezone: 'UTC' })
  assert.notEqual(first.key, second.key)
  second.set('Application_Name', 'a')
  assert.equal(first.key, second.key)
  second.set('DateStyle', 'ISO')
  assert.notEqual(first.key, second.key)
})

test('the key is made once, when it is asked for, and again only after a change', () => {
  const parameters = parametersOf({ TimeZone: 'UTC' })
  let made = 0
  Object.defineProperty(parameters.values, 'map', {
    value: (describe: (value: string | undefined) => string) => {
      made++
      return Array.from(parameters.values, describe)
    },
  })
  assert.equal(made, 0)
  void [parameters.key, parameters.key]
  assert.equal(made, 1)
  parameters.set('TimeZone', 'UTC')
  void parameters.key
  assert.equal(made, 1)
  parameters.set('TimeZone', 'Asia/Tokyo')
  void [parameters.key, parameters.key]
  assert.equal(made, 2)
})

test('after a reset only what the server reports is known', () => {
  const parameters = parametersOf({ TimeZone: 'UTC', search_path: 'a', application_name: 'b' })
  const key = parameters.key
  parameters.forgetUnreported(
    new Map([
      ['timezone', 'CET'],
      ['application_name', ''],
      ['server_version', '18'],
    ]),
  )
  assert.deepEqual(parameters.values[NAMES.index('search_path')], undefined)
  assert.equal(parameters.values[NAMES.index('TimeZone')], 'UTC')
  assert.notEqual(parameters.key, key)
  assert.deepEqual(parametersOf({ TimeZone: 'UTC', application_name: 'b', search_path: 'a' }).differing(parameters), [
    NAMES.index('search_path'),
  ])
})

test('no value and an empty value are two things, and values do not run into each other', () => {
  const keys = [
    {},
    { client_encoding: '' },
    { DateStyle: '' },
    { client_encoding: 'a', DateStyle: 'b' },
    { client_encoding: 'a=b' },
    { client_encoding: 'ab' },
    { DateStyle: 'ab' },
  ].map((values) => parametersOf(values).key)
  assert.equal(new Set(keys).size, keys.length)
})

test('equal keys are equal values', () => {
  const value = fc.option(
    fc.string({ maxLength: 3 }).map((text) => text.replaceAll('\0', '')),
    { nil: undefined },
  )
  const list = fc.array(value, { minLength: NAMES.names.length, maxLength: NAMES.names.length })
  const fill = (given: readonly (string | undefined)[]) => {
    const parameters = new Parameters(NAMES)
    for (const [index, text] of given.entries()) if (text !== undefined) parameters.set(NAMES.names[index]!, text)
    return parameters
  }
  fc.assert(
    fc.property(list, list, (one, other) => {
      const [first, second] = [fill(one), fill(other)]
      const same = one.every((text, index) => text === other[index])
      assert.equal(first.key === second.key, same)
      const set = one.flatMap((text, index) => (text !== other[index] ? [index] : []))
      assert.deepEqual(first.differing(second), set)
    }),
  )
})

test('differing: what has another value there, also what is set on one side only', () => {
  const session = parametersOf({ TimeZone: 'UTC', application_name: '', search_path: 'a' })
  const link = parametersOf({ TimeZone: 'UTC', DateStyle: 'ISO', search_path: 'b' })
  const names = ['DateStyle', 'application_name', 'search_path']
  for (const indexes of [session.differing(link), link.differing(session)]) {
    assert.deepEqual(
      indexes.map((index) => NAMES.names[index]),
      names,
    )
  }
  assert.deepEqual(session.differing(session), [])
  link.forget(NAMES.index('DateStyle'))
  assert.deepEqual(link.differing(session), session.differing(link))
  assert.deepEqual(session.differing(link), [NAMES.index('application_name'), NAMES.index('search_path')])
})

test('the statement sets all of them, quoted; lists of names as they are; what has no value is reset', () => {
  const session = parametersOf({ TimeZone: 'UTC', application_name: "it's; DROP \\ it", 'odd"name': '' })
  const link = parametersOf({ DateStyle: 'ISO' })
  assert.equal(
    session.setStatement(session.differing(link)),
    `RESET "DateStyle";SET "TimeZone" TO 'UTC';SET "application_name" TO E'it''s; DROP \\\\ it';SET "odd""name" TO ''`,
  )
  const path = parametersOf({ search_path: '"$user", "it\'s"' })
  assert.equal(
    path.setStatement(path.differing(parametersOf({}))),
    `SELECT pg_catalog.set_config('search_path', '"$user", "it''s"', false)`,
  )
  assert.equal(session.setStatement([]), '')
})

test('a literal is of ASCII only', () => {
  assert.equal(quoteLiteral('ā\\'), "E'\\U00000101\\\\'")
  assert.equal(quoteLiteral("é'😀"), "E'\\U000000e9''\\U0001f600'")
})

/** Reads a literal as PostgreSQL does; undefined when it ends before the text does. */
function readLiteral(text: string, conforming: boolean): string | undefined {
  const escapes = text.startsWith('E') || !conforming
  let value = ''
  for (let at = text.indexOf("'") + 1; at < text.length; at++) {
    const character = text[at]!
    if (character === "'" && text[at + 1] !== "'") return at === text.length - 1 ? value : undefined
    const doubled = character === "'" || (character === '\\' && escapes)
    value += doubled ? text[++at] : character
  }
  return undefined
}

test('a literal means its value for either standard_conforming_strings', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom("'", '\\', 'a', ';', '"', '\n') }))
  fc.assert(
    fc.property(text, (value) => {
      for (const conforming of [true, false]) assert.equal(readLiteral(quoteLiteral(value), conforming), value)
    }),
  )
})

test('an identifier is one identifier', () => {
  assert.deepEqual(['a', 'a"b', '"', ''].map(quoteIdentifier), ['"a"', '"a""b"', '""""', '""'])
})
