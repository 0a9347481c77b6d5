// The source of a configured user and password: one generation, for ever.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { type Credential, type CredentialConsumer, FixedSource } from '../src/credential.ts'
import { Secret } from '../src/secret.ts'

class Consumer implements CredentialConsumer {
  readonly offered: Credential[] = []
  readonly heard: string[] = []
  offer(credential: Credential): void {
    this.offered.push(credential)
  }
  overdue(): void {
    this.heard.push('overdue')
  }
  gone(): void {
    this.heard.push('gone')
  }
  trouble(): void {
    this.heard.push('trouble')
  }
}

test('it is there at once as generation 1, under the name of its source', () => {
  const password = new Secret('hunter-two')
  const source = new FixedSource('app', 'user', password)
  assert.equal(source.name, 'app')
  assert.deepEqual(source.current(), { source: 'app', generation: 1, user: 'user', password })
  assert.equal(source.current().password, password)
  assert.ok(!inspect(source.current()).includes('hunter'))
})

test('every consumer is offered it once, before subscribe returns', () => {
  const source = new FixedSource('app', 'user', new Secret('p'))
  const [first, second] = [new Consumer(), new Consumer()]
  source.subscribe(first)
  assert.deepEqual(first.offered, [source.current()])
  const end = source.subscribe(second)
  assert.deepEqual([first.offered.length, second.offered.length], [1, 1])
  end()
  end()
})

test('reports change nothing: there is no other credential, and nothing to give back', async () => {
  const source = new FixedSource('app', 'user', new Secret('p'))
  const consumer = new Consumer()
  const before = source.current()
  source.subscribe(consumer)
  source.reportProven()
  source.reportFailure()
  source.reportDrained()
  await source.close()
  assert.equal(source.current(), before)
  assert.deepEqual([consumer.offered.length, consumer.heard], [1, []])
})
