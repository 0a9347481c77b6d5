// What a program of the driver matrix printed is read as its cases, and a program that dies counts as a failed case.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRun } from './kit/drivers.ts'

test('versions and cases are read, other lines are not', () => {
  const output = 'version 1.2.3 server 18.4\nok prepared\nTraceback of something\nFAIL copy_in no answer, not 5\n'
  const { version, server, cases } = readRun({ code: 1, output })
  assert.deepEqual([version, server], ['1.2.3', '18.4'])
  assert.deepEqual(cases, [
    { name: 'prepared', ok: true, detail: '' },
    { name: 'copy_in', ok: false, detail: 'no answer, not 5' },
  ])
})

test('a program that ended with an error after cases that all succeeded has a failed case', () => {
  const { cases } = readRun({ code: 137, output: 'version 1 server 15.1\nok prepared\n' })
  assert.deepEqual(
    cases.map(({ name, ok }) => [name, ok]),
    [
      ['prepared', true],
      ['program', false],
    ],
  )
})
