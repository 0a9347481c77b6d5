// The status page's script in a stand-in for a browser: what it shows, what it does when nobody answers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exampleDatabase, exampleState, line } from './admin_kit.ts'
import { Page } from './page_double.ts'

async function shown(state: unknown = exampleState()): Promise<Page> {
  const page = new Page()
  await page.event('state', state)
  return page
}

test('it asks with the header, relative to where the page is', () => {
  assert.deepEqual(new Page().requests, [{ url: 'api/events', headers: { 'X-Pglease-Request': 'true' } }])
})

test('it shows the state, Vault, token, checks, credentials and databases', async () => {
  const page = await shown()
  assert.equal(page.text('state'), 'serving')
  assert.equal(page.text('facts'), 'version 1.2.3 · up 1 m 40 s')
  assert.equal(page.document.title, 'pglease: serving')
  const overview = page.text('overview')
  for (const text of ['available', 'https://vault.example:8200', '30 m 00 s', 'kubernetes, own login', 'listeners', 'databases']) {
    assert.ok(overview.includes(text), text)
  }
  const [source] = page.node('sources').children
  for (const text of [
    'generation 2',
    'v-app-two',
    '10 m 00 s',
    'database/creds/app',
    '1 link uses an older one',
    '#1 v-app-one',
    'draining, 30 s',
  ]) {
    assert.ok(source?.textContent.includes(text), text)
  }
  assert.equal(source?.all('bar')[0]?.nodes[0]?.style.width, '50%')
  const [database] = page.node('databases').children
  for (const text of ['app', '2 active', '6 idle', '5 of 20']) assert.ok(database?.textContent.includes(text), text)
  const links = database!.all('stack')[1]!.nodes.map((segment) => segment.style.width)
  assert.deepEqual(links.slice(0, 2), ['10%', '15%'])
})

test('hostile values stay text', async () => {
  const hostile = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
  const [source] = exampleState().sources
  const page = await shown(
    exampleState({
      version: hostile,
      databases: [{ ...exampleDatabase(hostile), trouble: hostile }],
      sources: [{ ...source!, name: hostile, user: hostile, trouble: hostile }],
      vault: { address: hostile, available: false, trouble: hostile },
      ready: [{ name: hostile, ok: false, reason: hostile }],
    }),
  )
  await page.event('log', { ...line(hostile), level: hostile, database: hostile })
  for (const id of ['facts', 'overview', 'sources', 'databases', 'log']) {
    assert.ok(page.text(id).includes(hostile), id)
    for (const tag of ['script', 'img']) assert.equal(tagsBelow(page, id).includes(tag), false, id)
  }
  assert.equal(page.node('log').children[0]?.className, 'line info')
})

function tagsBelow(page: Page, id: string): string[] {
  const walk = (nodes: readonly { tag: string; nodes: readonly unknown[] }[]): string[] =>
    nodes.flatMap((node) => [node.tag, ...walk(node.nodes as typeof nodes)])
  return walk(page.node(id).nodes)
}

test('names such as __proto__ are names', async () => {
  const page = await shown(exampleState({ databases: ['__proto__', 'constructor', 'app'].map(exampleDatabase) }))
  assert.deepEqual(
    page.node('databases').children.map((card) => card.all('row')[0]?.textContent),
    ['__proto__', 'constructor', 'app'],
  )
  for (const name of ['__proto__', 'constructor', 'other']) await page.event(name, {})
  assert.equal(page.text('state'), 'serving')
})

test('it counts down by itself, past the end too', async () => {
  const page = await shown()
  await page.pass(20)
  assert.equal(page.text('facts'), 'version 1.2.3 · up 2 m 00 s')
  assert.ok(page.text('sources').includes('9 m 40 s'))
  assert.ok(page.text('sources').includes('draining, 10 s'))
  await page.event('state', exampleState({ uptimeSeconds: 120 }))
  await page.pass(15)
  await page.event('state', exampleState({ sources: exampleState().sources.map((source) => ({ ...source, remainingSeconds: 5 })) }))
  await page.pass(12)
  assert.ok(page.text('sources').includes('overdue by 7 s'))
  assert.equal(page.node('sources').all('over').length, 1)
})

test('what never ends says so', async () => {
  const page = await shown(exampleState({ token: { kind: 'foreign', method: 'token' } }))
  assert.ok(page.text('overview').includes('never ends'))
  assert.ok(page.text('overview').includes('token, given to pglease'))
})

test('rates come from two states, and fall to zero when no more come', async () => {
  const page = await shown()
  page.nowMs += 2000
  await page.event(
    'state',
    exampleState({ databases: [{ ...exampleDatabase('app'), queries: 4000, transactions: 1400, bytesOut: 190_000 }] }),
  )
  const numbers = () =>
    page
      .node('databases')
      .all('numbers')[0]!
      .nodes.map((cell) => cell.nodes[0]!.textContent)
  assert.deepEqual(numbers(), ['1.5 k', '500', '50.0 kB/s', '4.0 k'])
  await page.pass(4)
  assert.deepEqual(numbers(), ['0', '0', '0 B/s', '4.0 k'])
})

test('cards come and go with what they show, and one that stays is kept', async () => {
  const page = await shown(exampleState({ databases: [exampleDatabase('one'), exampleDatabase('two')] }))
  const [, two] = page.node('databases').children
  await page.event('state', exampleState({ databases: [exampleDatabase('three'), exampleDatabase('two')], sources: [] }))
  const after = page.node('databases').children
  assert.deepEqual(
    after.map((card) => card.all('row')[0]?.textContent),
    ['three', 'two'],
  )
  assert.equal(after[1], two)
  assert.equal(page.node('sources-section').hidden, true)
  const { vault: _vault, token: _token, ...without } = exampleState()
  await page.event('state', without)
  assert.equal(page.text('overview').includes('Vault'), false)
})

test('events are put together from any pieces, also inside a character', async () => {
  const page = new Page()
  const bytes = new TextEncoder().encode(`event: log\ndata: ${JSON.stringify(line('grüße 🔑'))}\n\n`)
  await page.send(...Array.from(bytes, (_, at) => bytes.slice(at, at + 1)))
  assert.ok(page.text('log').includes('grüße 🔑'))
})

test('the log keeps the last 200 lines and says what was left out', async () => {
  const page = new Page()
  for (let count = 0; count < 205; count++) await page.event('log', { ...line(`line ${count}`), database: 'app', client: 7 })
  const lines = page.node('log').children
  assert.equal(lines.length, 200)
  assert.equal(lines[0]?.textContent, '10:20:30.456readyline 5database=app client=7')
  await page.event('missed', { count: 3 })
  assert.ok(page.node('log').children.at(-1)?.textContent.includes('3 events left out'))
})

test('a lost connection is said, the page fades, and it is tried again, ever more slowly', async () => {
  const page = await shown()
  await page.event('log', line('before'))
  await page.end()
  assert.equal(page.text('state'), 'disconnected')
  assert.equal(page.node('lost').hidden, false)
  assert.match(page.text('lost'), /ended the connection/)
  assert.equal(page.node('main').className, 'stale')
  const [first] = page.pauses.splice(0)
  assert.equal(first?.ms, 500)
  const asked = page.asked()
  first?.done()
  await asked
  await page.event('state', exampleState())
  assert.equal(page.text('state'), 'serving')
  assert.equal(page.node('lost').hidden, true)
  assert.equal(page.node('main').className, '')
  assert.equal(page.text('log'), '', 'the stream brings the lines again')
})

test('a silent connection is given up', async () => {
  const page = await shown()
  await page.pass(25)
  assert.equal(page.text('state'), 'serving')
  await page.pass(1)
  assert.equal(page.text('state'), 'disconnected')
})

test('so is one that is never answered', async () => {
  const page = new Page()
  await page.pass(26)
  assert.equal(page.text('state'), 'disconnected')
  assert.match(page.text('lost'), /given up/)
})

test('warnings and errors only', async () => {
  const page = await shown()
  page.node('serious').checked = true
  page.node('serious').listeners.get('change')?.()
  assert.equal(page.node('log').className, 'log serious')
})
