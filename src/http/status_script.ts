// The status page's script: reads the events and keeps the page up to date. Text is only ever set as text.
import { STATUS_PARTS } from './status_parts.ts'

const MAIN = String.raw`
const STALE_MS = 25000
const SLOWEST_RETRY_MS = 10000
const KEPT_LINES = 200
const page = {}
for (const id of ['state', 'facts', 'lost', 'main', 'overview', 'log', 'serious']) page[id] = document.getElementById(id)
for (const id of ['sources', 'databases']) page[id] = document.getElementById(id)
for (const id of ['sources-section', 'databases-section']) page[id] = document.getElementById(id)

let current
let receivedMs = 0
let heardMs = 0
let attempt = 0
let abort

const overview = [vaultCard(), tokenCard(), checksCard('Startup', 'startup'), checksCard('Ready', 'ready')]

const PILLS = { serving: 'good', starting: 'warn', draining: 'warn' }

/** Shows the current state as it is by now: what counts down needs no event. */
function show() {
  if (!current) return
  const elapsed = (performance.now() - receivedMs) / 1000
  setText(page.state, current.state)
  setClass(page.state, 'pill ' + (PILLS[current.state] || ''))
  setText(page.facts, 'version ' + current.version + ' · up ' + duration(current.uptimeSeconds + elapsed))
  if (document.title !== 'pglease: ' + current.state) document.title = 'pglease: ' + current.state
  keyed(page.overview, overview.filter((card) => card.wanted(current)), (card) => card.name, (card) => card)
  for (const card of overview) if (card.wanted(current)) card.show(current, elapsed)
  page['sources-section'].hidden = current.sources.length === 0
  keyed(page.sources, current.sources, (one) => one.name, sourceCard, elapsed)
  page['databases-section'].hidden = current.databases.length === 0
  keyed(page.databases, current.databases, (one) => one.name, databaseCard, elapsed)
}

function addLine(node) {
  const log = page.log
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40
  log.append(node)
  while (log.children.length > KEPT_LINES) log.children[0].remove()
  if (atEnd) log.scrollTop = log.scrollHeight
}

const events = {
  state(state) {
    current = state
    receivedMs = performance.now()
    measure(state, receivedMs)
    show()
  },
  log(line) {
    addLine(logLine(line))
  },
  missed(data) {
    addLine(element('div', 'line gap', element('span', '', '...'), element('span', ''), element('span', '', data.count + ' events left out: this page reads too slowly')))
  },
}

/** One event: its lines without the empty line that ends it. */
function take(text) {
  let name = ''
  let data = ''
  for (const line of text.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7)
    if (line.startsWith('data: ')) data += line.slice(6)
  }
  if (data !== '' && Object.hasOwn(events, name)) events[name](JSON.parse(data))
}

async function read(body) {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    heardMs = performance.now()
    const parts = (rest + decoder.decode(value, { stream: true })).split('\n\n')
    rest = parts.pop()
    for (const part of parts) take(part)
  }
}

function connected() {
  attempt = 0
  page.lost.hidden = true
  setClass(page.main, '')
  // the stream begins with the lines that are kept
  page.log.replaceChildren()
}

function lost(reason) {
  setText(page.lost, 'No news from pglease: ' + reason + '. Trying again.')
  page.lost.hidden = false
  setClass(page.main, 'stale')
  setText(page.state, 'disconnected')
  setClass(page.state, 'pill bad')
  document.title = 'pglease: disconnected'
  current = undefined
}

async function listen() {
  for (;;) {
    abort = new AbortController()
    heardMs = performance.now()
    try {
      const options = { headers: { 'X-Pglease-Request': 'true' }, cache: 'no-store', signal: abort.signal }
      const response = await fetch('api/events', options)
      if (!response.ok) throw new Error((await response.text()).trim())
      connected()
      await read(response.body)
      lost('it ended the connection')
    } catch (error) {
      lost(error.name === 'TypeError' ? 'it cannot be reached' : error.message)
    }
    abort.abort()
    await new Promise((resolve) => setTimeout(resolve, Math.min(SLOWEST_RETRY_MS, 500 * 2 ** attempt++)))
  }
}

page.serious.addEventListener('change', () => {
  setClass(page.log, page.serious.checked ? 'log serious' : 'log')
  page.log.scrollTop = page.log.scrollHeight
})
setInterval(() => {
  const now = performance.now()
  if (now - heardMs > STALE_MS) abort.abort()
  if (!current) return
  pulse(now)
  show()
}, 1000)
listen()
`

/** Strict, and in a scope of its own. */
export const STATUS_SCRIPT = `(() => {\n'use strict'\n${STATUS_PARTS}${MAIN}})()\n`
