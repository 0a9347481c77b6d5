// The parts of the kit that need no servers.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Child, poll } from './kit/child.ts'
import { FakeClock } from './kit/fake-clock.ts'
import { Metrics } from './kit/metrics-text.ts'
import { RequestCounter } from './kit/request-counter.ts'

test('the fake clock runs timers in order, each at its own time', () => {
  const clock = new FakeClock()
  const start = clock.monotonicMs()
  const ran: [string, number][] = []
  const note = (name: string) => () => ran.push([name, clock.monotonicMs() - start])
  clock.after(20, note('late'))
  clock.after(10, () => {
    note('early')()
    clock.after(5, note('nested'))
  })
  clock.after(10, note('second'))
  clock.after(15, note('cancelled')).cancel()
  assert.equal(clock.nextInMs, 10)
  clock.advance(19)
  assert.deepEqual(ran, [
    ['early', 10],
    ['second', 10],
    ['nested', 15],
  ])
  assert.equal(clock.monotonicMs() - start, 19)
  clock.advance(1)
  assert.deepEqual(ran.at(-1), ['late', 20])
  assert.equal(clock.pending, 0)
})

test('the fake clock lets promises settle between timers', async () => {
  const clock = new FakeClock()
  let turns = 0
  const loop = async () => {
    while (turns < 3) {
      await new Promise<void>((resolve) => void clock.after(10, resolve))
      turns++
    }
  }
  const done = loop()
  await clock.run(30)
  assert.equal(turns, 3)
  await done
})

test('the wall clock can jump alone', () => {
  const clock = new FakeClock()
  const [wall, monotonic] = [clock.wallMs(), clock.monotonicMs()]
  clock.jumpWall(60_000)
  clock.advance(5)
  assert.equal(clock.wallMs() - wall, 60_005)
  assert.equal(clock.monotonicMs() - monotonic, 5)
})

const REQUESTS = Buffer.from(
  'GET /v1/a HTTP/1.1\r\nHost: x\r\n\r\n' +
    'POST /v1/b HTTP/1.1\r\nContent-Length: 26\r\n\r\nGET /v1/no HTTP/1.1\r\n\r\n...' +
    'PUT /v1/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5;x=y\r\nGET /\r\n0\r\n\r\n' +
    'GET /v1/d HTTP/1.1\r\n\r\n',
)

test('requests are counted whole, byte by byte and at every split', () => {
  const expected = ['GET /v1/a', 'POST /v1/b', 'PUT /v1/c', 'GET /v1/d']
  assert.deepEqual(new RequestCounter().feed(REQUESTS), expected)
  const bytes = new RequestCounter()
  assert.deepEqual(
    [...REQUESTS].flatMap((byte) => bytes.feed(Buffer.from([byte]))),
    expected,
  )
  for (let at = 0; at <= REQUESTS.length; at++) {
    const counter = new RequestCounter()
    assert.deepEqual([...counter.feed(REQUESTS.subarray(0, at)), ...counter.feed(REQUESTS.subarray(at))], expected, `split at ${at}`)
  }
})

test('metrics are read with their labels', () => {
  const metrics = new Metrics('# HELP a b\na{x="1",y="q\\"}"} 2\na{x="2"} 3 17\nb +Inf\n')
  assert.equal(metrics.sum('a'), 5)
  assert.equal(metrics.sum('a', { y: 'q"}' }), 2)
  assert.equal(metrics.find('b')[0]?.value, Number.POSITIVE_INFINITY)
  assert.equal(metrics.sum('none'), 0)
})

test('a child ends with its parent, even when that is killed', async () => {
  const kit = new URL('./kit/child.ts', import.meta.url)
  const program = `const { Child } = await import('${kit}'); console.log(new Child(['sleep', '300'], { name: 'sleep' }).pid); setInterval(() => 0, 1000)`
  // both runtimes take a program on the command line
  const parent = spawn(process.execPath, process.versions.bun ? ['-e', program] : ['eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (text: Buffer) => resolve(Number(text))))
  // setpriv asks for the signal and then becomes the program
  await poll('the program runs', () => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n' || undefined)
  parent.kill('SIGKILL')
  await poll('the child is gone', () => {
    try {
      process.kill(pid, 0)
      return undefined
    } catch {
      return true
    }
  })
})

test('lines and the end of a child are events', async () => {
  const child = new Child(['sh', '-c', 'echo one; echo two >&2; exit 3'], { name: 'shell' })
  assert.equal(await child.waitForLine((line) => line === 'one'), 'one')
  assert.deepEqual(await child.exit, { code: 3, signal: null })
  assert.equal(child.stderr, 'two\n')
  await assert.rejects(
    child.waitForLine((line) => line === 'three'),
    /shell ended with code 3/,
  )
})
