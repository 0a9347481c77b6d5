// What every Network must do when it connects and listens; run on each implementation by its own test file.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { bunRuntime } from '../../src/net/bun_types.ts'
import type { Address, Network, Transport } from '../../src/net/transport.ts'
import { Recorder, rejectionCode } from './recorder.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

export function connectContract(network: Network): void {
  test('a refused connection and an unknown host carry their codes', async () => {
    const listener = await network.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, () => {})
    const { address } = listener
    listener.close()
    await turn()
    assert.equal(await rejectionCode(network.connect(address)), 'ECONNREFUSED')
    assert.equal(await rejectionCode(network.connect({ kind: 'tcp', host: 'no-such-host.invalid', port: 1 })), 'ENOTFOUND')
    assert.equal(await rejectionCode(network.connect({ kind: 'unix', path: '/nonexistent/socket' })), 'ENOENT')
  })

  test('a signal abandons a connect that hangs, and one that was aborted before', async () => {
    const controller = new AbortController()
    // 192.0.2.0/24 answers nobody (RFC 5737); where the network refuses it at once, that error is as good
    const attempt = rejectionCode(network.connect({ kind: 'tcp', host: '192.0.2.1', port: 9 }, controller.signal))
    await turn()
    controller.abort()
    assert.match(await attempt, /^(ABORT_ERR|ENETUNREACH|EHOSTUNREACH|ECONNREFUSED)$/)
    const aborted = network.connect({ kind: 'tcp', host: '127.0.0.1', port: 9 }, AbortSignal.abort())
    assert.equal(await rejectionCode(aborted), 'ABORT_ERR')
  })

  test('an address in use is refused with EADDRINUSE', async () => {
    const listener = await network.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, () => {})
    assert.equal(await rejectionCode(network.listen(listener.address, () => {})), 'EADDRINUSE')
    listener.close()
  })
  unixContract(network)
  staleContract(network)
  manyContract(network)
}

function unixContract(network: Network): void {
  test('a unix socket: its mode, its name, a live one is not stolen, a file that is no socket is left alone', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'socket-'))
    const address: Address = { kind: 'unix', path: join(directory, 'a.sock') }
    const atServer = new Recorder()
    const accepted = Promise.withResolvers<Transport>()
    const accept = (transport: Transport) => {
      transport.setHandler(atServer)
      accepted.resolve(transport)
    }
    const listener = await network.listen(address, accept, 0o600)
    assert.equal(statSync(address.path).mode & 0o777, 0o600)
    const client = await network.connect(address)
    const atClient = new Recorder()
    client.setHandler(atClient)
    client.write(Buffer.from('hello'))
    await atServer.untilText('hello')
    assert.equal(client.remoteAddress, `unix:${address.path}`)
    assert.equal((await accepted.promise).remoteAddress, `unix:${address.path}`)
    assert.equal(await rejectionCode(network.listen(address, () => {})), 'EADDRINUSE')
    client.destroy()
    await atServer.until('an ending', () => atServer.events.length > 1)
    const server = await accepted.promise
    server.destroy()
    await Promise.all([atServer.untilEvent('close'), atClient.untilEvent('close')])
    listener.close()
    const plain = join(directory, 'plain')
    writeFileSync(plain, 'precious')
    assert.equal(await rejectionCode(network.listen({ kind: 'unix', path: plain }, () => {})), 'EADDRINUSE')
    assert.ok(existsSync(plain))
    rmSync(directory, { recursive: true })
  })
}

function staleContract(network: Network): void {
  test('a socket file that a killed process left behind is replaced', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'socket-'))
    const path = join(directory, 'stale.sock')
    const program = `import { createServer } from 'node:net'; createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`
    const child = spawn(process.execPath, bunRuntime === undefined ? ['eval', program] : ['-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.ok(existsSync(path))
    const listener = await network.listen({ kind: 'unix', path }, (transport) => transport.setHandler(new Recorder()))
    const client = await network.connect({ kind: 'unix', path })
    const atClient = new Recorder()
    client.setHandler(atClient)
    client.destroy()
    await atClient.untilEvent('close')
    listener.close()
    rmSync(directory, { recursive: true })
  })
}

function manyContract(network: Network): void {
  test('a thousand connections opened and closed: every one ends with one close on both sides', async () => {
    let closed = 0
    let events = 0
    const ended = Promise.withResolvers<void>()
    const counting = (transport: Transport) => ({
      data() {},
      drain() {},
      end() {
        transport.end()
      },
      close() {
        closed += 1
        if (closed === 2000) ended.resolve()
      },
    })
    const listener = await network.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, (transport) => {
      events += 1
      transport.setHandler(counting(transport))
    })
    for (let batch = 0; batch < 20; batch += 1) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => network.connect(listener.address)))
      for (const client of clients) {
        client.setHandler(counting(client))
        client.end()
      }
    }
    await ended.promise
    await turn()
    assert.equal(events, 1000)
    assert.equal(closed, 2000)
    listener.close()
  })
}
