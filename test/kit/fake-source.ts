// A source of credentials that a test offers them from, and what a pool reported of them.
import type { Credential, CredentialConsumer, CredentialSource } from '../../src/credential.ts'
import { Secret } from '../../src/secret.ts'

export class FakeSource implements CredentialSource {
  readonly name = 'source'
  consumer: CredentialConsumer | undefined
  readonly proven: number[] = []
  readonly failures: string[] = []
  readonly drained: number[] = []
  /** How long any generation lasts. */
  left = Number.POSITIVE_INFINITY
  current(): Credential | undefined {
    return undefined
  }
  leftMs(): number {
    return this.left
  }
  subscribe(consumer: CredentialConsumer): () => void {
    this.consumer = consumer
    return () => {}
  }
  offer(generation: number): void {
    this.consumer?.offer({ source: this.name, generation, user: `user${generation}`, password: new Secret('p') })
  }
  overdue(generation: number): void {
    this.consumer?.overdue(generation)
  }
  reportProven(_: CredentialConsumer, generation: number): void {
    this.proven.push(generation)
  }
  reportFailure(generation: number, sqlstate: string): void {
    this.failures.push(`${generation} ${sqlstate}`)
  }
  reportDrained(_: CredentialConsumer, generation: number): void {
    this.drained.push(generation)
  }
  async close(): Promise<void> {}
}
