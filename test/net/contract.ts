// What every Network must do with plain streams; run on each implementation by its own test file.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Network } from '../../src/net/transport.ts'
import { makePair, Recorder } from './recorder.ts'

const MEGABYTE = 1024 * 1024
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

const PIECE_BYTES = 100_000

/** Bytes that show a loss, a repetition or an exchange: each word is its own place. */
function numbered(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += 4) buffer.writeUInt32LE(at / 4, at)
  return buffer
}

export function streamContract(network: Network): void {
  test('bytes go both ways and the address names the peer', async () => {
    const pair = await makePair(network)
    pair.client.write(Buffer.from('to the server'))
    await pair.atServer.untilText('to the server')
    pair.server.write(Buffer.from('to the client'))
    await pair.atClient.untilText('to the client')
    const { address } = pair.listener
    assert.equal(pair.client.remoteAddress, `127.0.0.1:${address.kind === 'tcp' ? address.port : ''}`)
    assert.match(pair.server.remoteAddress, /^127\.0\.0\.1:\d+$/)
    assert.equal(pair.client.secure, false)
    assert.equal(pair.client.peerCertificate(), undefined)
    await pair.close()
  })

  test('a slow reader: write answers false, all bytes arrive in order, drain comes once flushed', async () => {
    const pair = await makePair(network)
    const expected = numbered(50 * MEGABYTE)
    let written = 0
    let refusals = 0
    const pump = () => {
      while (written < expected.length) {
        const piece = expected.subarray(written, written + PIECE_BYTES)
        written += piece.length
        if (!pair.client.write(piece)) {
          refusals += 1
          return
        }
      }
    }
    pair.atClient.onDrain = pump
    pair.server.pause()
    await turn()
    pump()
    for (let count = 0; count < 50; count += 1) await turn()
    assert.ok(written < 20 * MEGABYTE, `${written} bytes were taken although nobody reads`)
    assert.ok(refusals > 0)
    pair.server.resume()
    await pair.atServer.until('all bytes', () => pair.atServer.received === expected.length)
    assert.ok(Buffer.concat(pair.atServer.chunks).equals(expected))
    await pair.atClient.until('the last drain', () => pair.atClient.count('drain') === refusals)
    await pair.close()
  })

  test('a paused transport gives at most one more chunk until resume', async () => {
    const pair = await makePair(network)
    pair.atServer.onData = () => pair.server.pause()
    const piece = Buffer.alloc(1000, 1)
    pair.client.write(piece)
    await pair.atServer.untilEvent('data')
    const before = pair.atServer.chunks.length
    for (let count = 0; count < 20; count += 1) {
      pair.client.write(piece)
      await turn()
    }
    assert.ok(pair.atServer.chunks.length <= before + 1)
    pair.atServer.onData = () => {}
    pair.server.resume()
    await pair.atServer.until('the rest', () => pair.atServer.received === 21_000)
    await pair.close()
  })
  endContract(network)
  closedContract(network)
}

function endContract(network: Network): void {
  test('after end the peer may go on sending, and both close when it ends too', async () => {
    const pair = await makePair(network)
    pair.client.write(Buffer.from('question'))
    pair.client.end()
    await pair.atServer.untilEvent('end')
    assert.equal(pair.atServer.text(), 'question')
    assert.deepEqual(pair.atServer.events, ['data', 'end'])
    pair.server.write(Buffer.from('answer'))
    await pair.atClient.untilText('answer')
    pair.server.end()
    await Promise.all([pair.atClient.untilEvent('close'), pair.atServer.untilEvent('close')])
    assert.equal(pair.atClient.ending?.kind, 'local')
    await pair.close()
  })

  test('end sends all that was queued before it closes', async () => {
    const pair = await makePair(network)
    const expected = numbered(8 * MEGABYTE)
    pair.server.pause()
    await turn()
    pair.client.write(expected)
    pair.client.end()
    pair.server.resume()
    await pair.atServer.untilEvent('end')
    assert.ok(Buffer.concat(pair.atServer.chunks).equals(expected))
    pair.server.end()
    await pair.close()
  })

  test('end is forced after its linger time when the peer neither reads nor closes', async () => {
    const pair = await makePair(network)
    pair.server.pause()
    await turn()
    pair.client.write(Buffer.alloc(20 * MEGABYTE))
    pair.client.end(50)
    await pair.atClient.untilEvent('close')
    assert.equal(pair.atClient.ending?.kind, 'local')
    await pair.close()
  })

  test('close delivers what was written and does not wait for the peer', async () => {
    const pair = await makePair(network)
    const expected = numbered(8 * MEGABYTE)
    pair.client.write(expected)
    pair.client.close()
    await pair.atServer.untilEvent('end')
    assert.ok(Buffer.concat(pair.atServer.chunks).equals(expected))
    pair.server.end()
    await Promise.all([pair.atClient.untilEvent('close'), pair.atServer.untilEvent('close')])
    assert.equal(pair.atClient.ending?.kind, 'local')
    await pair.close()
  })

  test('close with nothing left to send closes at once, without a reset', async () => {
    const pair = await makePair(network)
    pair.client.write(Buffer.from('last words'))
    pair.client.close()
    await pair.atClient.untilEvent('close')
    await pair.atServer.untilEvent('end')
    assert.equal(pair.atServer.text(), 'last words')
    pair.server.end()
    await pair.atServer.untilEvent('close')
    assert.notEqual(pair.atServer.ending?.kind, 'error')
    await pair.close()
  })

  test('destroy closes asynchronously, exactly once, and the peer sees it', async () => {
    const pair = await makePair(network)
    pair.client.destroy()
    assert.equal(pair.atClient.count('close'), 0)
    pair.client.destroy()
    await pair.atClient.untilEvent('close')
    assert.deepEqual(pair.atClient.ending, { kind: 'local', code: '', message: 'closed by us' })
    await pair.atServer.until('an ending', () => pair.atServer.events.length > 0)
    await pair.close()
  })
}

function closedContract(network: Network): void {
  test('what is written after the close is dropped and answered true', async () => {
    const pair = await makePair(network)
    pair.client.destroy()
    assert.equal(pair.client.write(Buffer.alloc(MEGABYTE)), true)
    await pair.atClient.untilEvent('close')
    for (let count = 0; count < 4; count += 1) assert.equal(pair.client.write(Buffer.alloc(MEGABYTE)), true)
    pair.client.pause()
    pair.client.resume()
    pair.client.end()
    await pair.close()
  })

  test('a handler that is replaced mid-stream: the new one gets the next chunk', async () => {
    const pair = await makePair(network)
    const second = new Recorder()
    pair.atServer.onData = () => pair.server.setHandler(second)
    pair.client.write(Buffer.from('first'))
    await pair.atServer.untilText('first')
    pair.client.write(Buffer.from('second'))
    await second.untilText('second')
    assert.equal(pair.atServer.text(), 'first')
    pair.client.end()
    await second.untilEvent('end')
    pair.server.end()
    await second.untilEvent('close')
    await pair.atClient.untilEvent('close')
    pair.listener.close()
  })

  test('a handler may destroy its transport inside data: nothing but close follows', async () => {
    const pair = await makePair(network)
    pair.atServer.onData = () => pair.server.destroy()
    pair.client.write(Buffer.alloc(4 * MEGABYTE))
    await pair.atServer.untilEvent('close')
    assert.deepEqual(pair.atServer.events, ['data', 'close'])
    await pair.close()
  })

  test('a greeting sent before the connecting side has its handler is not lost', async () => {
    const listener = await network.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, (transport) => {
      transport.setHandler(new Recorder())
      transport.write(Buffer.from('welcome'))
      transport.end()
    })
    const client = await network.connect(listener.address)
    const late = new Recorder()
    for (let count = 0; count < 5; count += 1) await turn()
    client.setHandler(late)
    await late.untilEvent('end')
    assert.equal(late.text(), 'welcome')
    client.end()
    await late.untilEvent('close')
    listener.close()
  })
}
