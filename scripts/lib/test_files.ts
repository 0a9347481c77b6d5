// Which test files there are: unit tests run together on both runtimes, end-to-end tests each in a process of its own.
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { repository } from './run.ts'

const all = (): string[] =>
  readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
    .map((name) => `./${join('test', name)}`)
    .sort()

const isEndToEnd = (path: string) => basename(path).startsWith('e2e.')

export const unitTests = (): string[] => all().filter((path) => !isEndToEnd(path))
export const endToEndTests = (): string[] => all().filter(isEndToEnd)
