// A transport handler that remembers every event and lets a test wait for one.
import assert from 'node:assert/strict'
import type { Listener, Network, Transport, TransportEnd, TransportHandler } from '../../src/net/transport.ts'

const WAIT_MS = 30_000

export class Recorder implements TransportHandler {
  readonly events: string[] = []
  readonly chunks: Buffer[] = []
  received = 0
  ending: TransportEnd | undefined
  /** Called with each chunk after it was recorded. */
  onData: (chunk: Buffer) => void = () => {}
  onDrain: () => void = () => {}
  readonly #waiting = new Set<() => void>()

  data(chunk: Buffer): void {
    this.received += chunk.length
    this.chunks.push(chunk)
    if (this.events.at(-1) !== 'data') this.events.push('data')
    this.onData(chunk)
    this.#changed()
  }
  drain(): void {
    this.events.push('drain')
    this.onDrain()
    this.#changed()
  }
  end(): void {
    this.events.push('end')
    this.#changed()
  }
  close(end: TransportEnd): void {
    this.events.push('close')
    this.ending = end
    this.#changed()
  }
  #changed(): void {
    for (const check of [...this.#waiting]) check()
  }

  text(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }
  count(event: string): number {
    return this.events.filter((seen) => seen === event).length
  }

  /** Resolves once `condition` holds after some event. */
  until(what: string, condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      if (condition()) return resolve()
      const timer = setTimeout(() => reject(new Error(`waited for ${what}; events: ${this.events.join(' ')}`)), WAIT_MS)
      const check = () => {
        if (!condition()) return
        clearTimeout(timer)
        this.#waiting.delete(check)
        resolve()
      }
      this.#waiting.add(check)
    })
  }
  untilText(text: string): Promise<void> {
    return this.until(JSON.stringify(text), () => this.text() === text)
  }
  untilEvent(event: string): Promise<void> {
    return this.until(event, () => this.events.includes(event))
  }
}

/** Two ends of one connection with their recorders. */
export interface Pair {
  readonly client: Transport
  readonly server: Transport
  readonly atClient: Recorder
  readonly atServer: Recorder
  readonly listener: Listener
  close(): Promise<void>
}

/** One connection over loopback. */
export async function makePair(network: Network): Promise<Pair> {
  const atServer = new Recorder()
  const atClient = new Recorder()
  const accepted = Promise.withResolvers<Transport>()
  const listener = await network.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, (transport) => {
    transport.setHandler(atServer)
    accepted.resolve(transport)
  })
  const client = await network.connect(listener.address)
  client.setHandler(atClient)
  const server = await accepted.promise
  const close = async () => {
    client.destroy()
    server.destroy()
    await Promise.all([atClient.untilEvent('close'), atServer.untilEvent('close')])
    listener.close()
    assert.equal(atClient.count('close'), 1)
    assert.equal(atServer.count('close'), 1)
    assert.equal(atClient.events.at(-1), 'close')
    assert.equal(atServer.events.at(-1), 'close')
  }
  return { client, server, atClient, atServer, listener, close }
}

/** The code with which `attempt` is rejected. */
export async function rejectionCode(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt
  } catch (error) {
    assert.equal((error as Error).name, 'TransportError')
    return (error as { code: string }).code
  }
  return assert.fail('it was not rejected')
}
