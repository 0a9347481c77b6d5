// Programs that were once answered otherwise than by PostgreSQL, kept in test/corpus/ and said again.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { FixedDatabase } from '../kit/fixed-database.ts'
import type { RawClient } from '../kit/raw-client.ts'
import { converse } from './conversations.ts'

export const CORPUS = resolve(import.meta.dirname, '../corpus')

export interface Layout {
  readonly links: number
  /** max_prepared_statements. */
  readonly statements: number
}

/** One file of the corpus: programs of sessions, one after another. */
export interface Kept extends Layout {
  readonly title: string
  /** `marker`: what the last query of the program answers; `chunks`: its writes, packed. */
  readonly programs: readonly { readonly session: number; readonly marker: string; readonly chunks: readonly string[] }[]
}

/** Deflated, in base64: long texts are one letter repeated. */
export const packed = (chunk: Buffer): string => deflateRawSync(chunk).toString('base64')
const unpacked = (text: string): Buffer => inflateRawSync(Buffer.from(text, 'base64'))

export function corpus(): { file: string; kept: Kept }[] {
  if (!existsSync(CORPUS)) return []
  const files = readdirSync(CORPUS).filter((file) => file.endsWith('.json'))
  return files.map((file) => ({ file, kept: JSON.parse(readFileSync(join(CORPUS, file), 'utf8')) as Kept }))
}

/** Says the programs to PostgreSQL and to pglease, and answers what each said to each of them. */
export async function sayAgain(app: FixedDatabase, { programs }: Kept): Promise<{ direct: string; pooled: string }[]> {
  const clients = new Map<number, readonly [direct: RawClient, pooled: RawClient]>()
  const answers: { direct: string; pooled: string }[] = []
  for (const { session, marker, chunks } of programs) {
    const both = clients.get(session) ?? ([await app.direct({ user: app.user, password: app.password }), await app.raw()] as const)
    clients.set(session, both)
    const program = { names: '', marker, chunks: chunks.map(unpacked) }
    answers.push({ direct: await converse(both[0], program), pooled: await converse(both[1], program) })
  }
  return answers
}
