// A test with servers: everything it starts is stopped in reverse order, and a failure shows the last log lines.
import { test } from 'node:test'
import { type Pglease, type PgleaseOptions, startPglease } from './pglease.ts'
import { type OwnPostgres, type PostgresOptions, startPostgres } from './postgres.ts'
import { type OwnVault, startVault, type VaultOptions } from './vault.ts'

/** What a scenario starts through this object is stopped when it ends. */
export class Scenario {
  readonly #cleanups: (() => unknown)[] = []
  readonly #logs: { name: string; tail: () => string }[] = []

  /** Runs `cleanup` at the end, last registered first. */
  defer(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup)
  }

  /** Shows `tail` when the scenario fails. */
  showOnFailure(name: string, tail: () => string): void {
    this.#logs.push({ name, tail })
  }

  async pglease(options: PgleaseOptions): Promise<Pglease> {
    const pglease = await startPglease(options)
    this.showOnFailure('pglease', () => pglease.child.tail())
    this.defer(() => pglease.stop('SIGKILL'))
    return pglease
  }

  async postgres(options?: PostgresOptions): Promise<OwnPostgres> {
    const postgres = await startPostgres(options)
    this.showOnFailure('postgres', () => postgres.log)
    this.defer(() => postgres.stop())
    return postgres
  }

  async vault(options?: VaultOptions): Promise<OwnVault> {
    const vault = await startVault(options)
    this.showOnFailure('vault', () => vault.log)
    this.defer(() => vault.stop())
    return vault
  }

  printLogs(): void {
    for (const { name, tail } of this.#logs) console.error(`--- last lines of ${name}\n${tail()}`)
  }

  /** Every cleanup runs; the first error is answered. */
  async end(): Promise<unknown> {
    let first: unknown
    for (const cleanup of this.#cleanups.reverse()) {
      try {
        await cleanup()
      } catch (error) {
        first ??= error
      }
    }
    return first
  }
}

/** A `node:test` test whose body is given a Scenario. */
export function scenario(name: string, body: (scenario: Scenario) => Promise<void>): void {
  test(name, async () => {
    const context = new Scenario()
    try {
      await body(context)
    } catch (error) {
      context.printLogs()
      await context.end()
      throw error
    }
    const failed = await context.end()
    if (failed) throw failed
  })
}
