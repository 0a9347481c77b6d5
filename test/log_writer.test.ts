// The writer of lines, on real files and pipes: nothing is lost in order, nothing blocks, and what is dropped is counted.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LineWriter } from '../src/log_writer.ts'
import { FakeClock } from './kit/fake-clock.ts'

const GATHER_MS = 25
const AGAIN_MS = 20
const LIMIT = 1024 * 1024

const codeOf = (error: unknown) => (error as { code?: string }).code

function inDirectory(name: string, body: (directory: string) => Promise<void>): void {
  test(name, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pglease-writer-'))
    try {
      await body(directory)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
}

/** A writer to a new file. */
function toFile(directory: string, onDropped?: (count: number) => void) {
  const path = join(directory, 'log')
  const descriptor = openSync(path, 'w')
  const clock = new FakeClock()
  const writer = new LineWriter(descriptor, clock, onDropped)
  return { writer, clock, text: () => readFileSync(path, 'utf8'), close: () => closeSync(descriptor) }
}

/** A pipe whose writing end refuses instead of blocking when it is full. */
function makePipe(directory: string) {
  const path = join(directory, 'pipe')
  execFileSync('mkfifo', [path])
  const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writing = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  const buffer = Buffer.alloc(1 << 20)
  return {
    writing,
    /** What is in the pipe now. */
    read(): string {
      try {
        return buffer.toString('utf8', 0, readSync(reading, buffer, 0, buffer.length, null))
      } catch (error) {
        assert.equal(codeOf(error), 'EAGAIN')
        return ''
      }
    },
    fill(): void {
      for (let size = 4096; size > 0; ) {
        try {
          writeSync(writing, Buffer.alloc(size, '.'))
        } catch (error) {
          assert.equal(codeOf(error), 'EAGAIN')
          size = Math.floor(size / 2)
        }
      }
    },
    closeReading: () => closeSync(reading),
    closeWriting: () => closeSync(writing),
  }
}

/** Lets real writes go on, and the clock by `stepMs` each time, until `done`. */
async function untilDone(clock: FakeClock, stepMs: number, done: () => boolean): Promise<void> {
  for (let turn = 0; !done(); turn++) {
    assert.ok(turn < 100_000, 'it never ends')
    await clock.run(stepMs)
  }
}

inDirectory('the first line goes out at once, those after it together a little later', async (directory) => {
  const { writer, clock, text, close } = toFile(directory)
  writer.write('one\n')
  assert.equal(clock.pending, 0)
  await writer.flush()
  assert.equal(text(), 'one\n')
  writer.write('two\n')
  writer.write('three\n')
  // nothing is written before the time is over: only the timer is there
  assert.deepEqual([clock.pending, clock.nextInMs], [1, GATHER_MS])
  clock.advance(GATHER_MS - 1)
  assert.equal(text(), 'one\n')
  clock.advance(1)
  assert.equal(clock.pending, 0)
  await writer.flush()
  assert.equal(text(), 'one\ntwo\nthree\n')
  // nothing more came: it rests, without a timer, and the next line goes out at once
  clock.advance(GATHER_MS)
  assert.equal(clock.pending, 0)
  writer.write('four\n')
  assert.equal(clock.pending, 0)
  await writer.flush()
  assert.equal(text(), 'one\ntwo\nthree\nfour\n')
  close()
})

inDirectory('flush takes what was written so far, whatever the writer is doing, without the clock', async (directory) => {
  const { writer, text, close } = toFile(directory)
  await writer.flush()
  writer.write('one\n')
  writer.write('two\n')
  const [first, second] = [writer.flush(), writer.flush()]
  await first
  assert.equal(text(), 'one\ntwo\n')
  await second
  writer.write('three\n')
  await writer.flush()
  assert.equal(text(), 'one\ntwo\nthree\n')
  await writer.flush()
  close()
})

inDirectory('beyond 1 MB that wait lines are dropped, and their number is told once there is room', async (directory) => {
  const told: number[] = []
  const { writer, text, close } = toFile(directory, (count) => {
    told.push(count)
    writer.write(`dropped ${count}\n`)
  })
  writer.write('first\n')
  const line = `${'x'.repeat(1023)}\n`
  for (let bytes = 0; bytes < LIMIT; bytes += line.length) writer.write(line)
  for (let count = 0; count < 3; count++) writer.write('lost\n')
  assert.deepEqual(told, [])
  await writer.flush()
  assert.deepEqual(told, [3])
  assert.equal(text(), `first\n${line.repeat(LIMIT / line.length)}dropped 3\n`)
  writer.write('after\n')
  await writer.flush()
  assert.deepEqual(told, [3])
  assert.ok(text().endsWith('dropped 3\nafter\n'))
  close()
})

inDirectory('a pipe that is full is tried again, and the line arrives once', async (directory) => {
  const pipe = makePipe(directory)
  pipe.fill()
  const clock = new FakeClock()
  const writer = new LineWriter(pipe.writing, clock)
  writer.write('one\n')
  let flushed = false
  const flush = writer.flush().then(() => {
    flushed = true
  })
  for (let turn = 0; turn < 3; turn++) {
    await untilDone(clock, 0, () => clock.pending === 1)
    assert.equal(clock.nextInMs, AGAIN_MS)
    clock.advance(AGAIN_MS)
  }
  assert.equal(flushed, false)
  assert.match(pipe.read(), /^\.+$/)
  await untilDone(clock, AGAIN_MS, () => flushed)
  await flush
  assert.equal(pipe.read(), 'one\n')
  pipe.closeWriting()
  pipe.closeReading()
})

// Deno's fs.write to such a pipe goes on by itself and tells only the error, not how much was taken before it (docs/decisions.md)
if (!('Deno' in globalThis)) {
  inDirectory('a pipe that takes a part at a time gets every line once and in order', async (directory) => {
    const pipe = makePipe(directory)
    const clock = new FakeClock()
    const writer = new LineWriter(pipe.writing, clock)
    const lines = Array.from({ length: 12_000 }, (_, index) => `line ${index} ü ${'y'.repeat(index % 50)}\n`).join('')
    assert.ok(Buffer.byteLength(lines) > 4 * 65_536 && lines.length < LIMIT)
    writer.write('first\n')
    writer.write(lines)
    let flushed = false
    void writer.flush().then(() => {
      flushed = true
    })
    const parts: Buffer[] = []
    await untilDone(clock, AGAIN_MS, () => {
      parts.push(Buffer.from(pipe.read()))
      return flushed
    })
    parts.push(Buffer.from(pipe.read()))
    assert.ok(parts.filter(({ length }) => length > 0).length >= 4)
    assert.ok(Buffer.concat(parts).toString() === `first\n${lines}`)
    pipe.closeWriting()
    pipe.closeReading()
  })
}

inDirectory('when nobody reads any more, lines are lost and nobody waits', async (directory) => {
  const pipe = makePipe(directory)
  const writer = new LineWriter(pipe.writing, new FakeClock())
  pipe.closeReading()
  writer.write('one\n')
  writer.write('two\n')
  await writer.flush()
  writer.write('three\n')
  await writer.flush()
  pipe.closeWriting()
})
