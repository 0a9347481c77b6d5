// The parts of the status page that its script puts together: cards, bars, countdowns, log lines.

const BASICS = `
function element(tag, className, ...children) {
  const node = document.createElement(tag)
  if (className) node.className = className
  node.append(...children)
  return node
}
const setText = (node, text) => { if (node.textContent !== text) node.textContent = text }
const setClass = (node, name) => { if (node.className !== name) node.className = name }
/** A line that is there only while it says something. */
const setOptional = (node, text) => { node.hidden = !text; setText(node, text || '') }

/** Keeps one child per item in their order; a child that stays keeps its selection and moves smoothly. */
const childrenOf = new WeakMap()
function keyed(container, items, keyOf, make, elapsed) {
  if (!childrenOf.has(container)) childrenOf.set(container, new Map())
  const kept = childrenOf.get(container)
  const wanted = new Set(items.map(keyOf))
  for (const [key, part] of kept) if (!wanted.has(key)) { part.node.remove(); kept.delete(key) }
  items.forEach((item, index) => {
    const key = keyOf(item)
    if (!kept.has(key)) kept.set(key, make(item))
    const part = kept.get(key)
    if (container.children[index] !== part.node) container.insertBefore(part.node, container.children[index] || null)
    if (part.update) part.update(item, elapsed)
  })
}

const two = (number) => String(number).padStart(2, '0')
function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds))
  const days = Math.floor(whole / 86400), hours = Math.floor(whole / 3600) % 24, minutes = Math.floor(whole / 60) % 60
  if (days > 0) return days + ' d ' + hours + ' h'
  if (hours > 0) return hours + ' h ' + two(minutes) + ' m'
  return minutes > 0 ? minutes + ' m ' + two(whole % 60) + ' s' : whole + ' s'
}
const left = (seconds) => seconds === undefined ? 'never ends' : seconds > 0 ? duration(seconds) : 'overdue by ' + duration(-seconds)
const later = (seconds, elapsed) => seconds === undefined ? undefined : seconds - elapsed
function amount(number, unit) {
  const steps = ['', 'k', 'M', 'G', 'T', 'P']
  let value = number, step = 0
  while (value >= 999.5 && step < steps.length - 1) { value /= 1000; step++ }
  const text = step === 0 && unit === '' ? String(Math.round(value)) : value >= 99.5 ? value.toFixed(0) : value.toFixed(value === 0 ? 0 : 1)
  return text + (steps[step] || unit ? ' ' : '') + steps[step] + unit
}
`

const BARS = `
/** What is left of a span. Where its full length is not known, it is the longest that this page has seen. */
function countdown() {
  const fill = element('span'), node = element('div', 'bar', fill)
  const longest = new Map()
  return { node, update(key, seconds, full) {
    const known = full || Math.max(longest.get(key) || 0, seconds || 0)
    if (!longest.has(key)) longest.clear()
    longest.set(key, known)
    const share = seconds === undefined ? 1 : known > 0 ? Math.min(1, Math.max(0, seconds / known)) : 0
    setClass(node, 'bar' + (seconds === undefined ? ' endless' : seconds <= 0 ? ' over' : share < 0.2 ? ' low' : ''))
    fill.style.width = share * 100 + '%'
  } }
}

/** Counts by state beside one another, with their names below; those after the first few only while there are any. */
function stack(states, always) {
  const segments = states.map((state) => element('span', state))
  const names = states.map(() => document.createTextNode(''))
  const labels = states.map((state, index) => element('span', state, element('i'), names[index]))
  const bar = element('div', 'bar stack', ...segments), node = element('div', '', bar, element('div', 'legend', ...labels))
  return { node, update(counts, most) {
    const sum = states.reduce((total, state) => total + counts[state], 0)
    states.forEach((state, index) => {
      segments[index].style.width = counts[state] * 100 / Math.max(1, sum, most || 0) + '%'
      const text = counts[state] + ' ' + state
      if (names[index].data !== text) names[index].data = text
      setClass(labels[index], counts[state] === 0 ? state + ' none' : state)
      labels[index].hidden = counts[state] === 0 && index >= always
    })
  } }
}

const SAMPLES = 60
const SVG = 'http://www.w3.org/2000/svg'
function spark() {
  const node = document.createElementNS(SVG, 'svg'), area = document.createElementNS(SVG, 'polygon'), line = document.createElementNS(SVG, 'polyline')
  node.setAttribute('class', 'spark')
  node.setAttribute('viewBox', '0 0 ' + (SAMPLES - 1) + ' 34')
  node.setAttribute('preserveAspectRatio', 'none')
  node.setAttribute('aria-hidden', 'true')
  node.append(area, line)
  return { node, update(samples) {
    const top = Math.max(1, ...samples), first = SAMPLES - samples.length
    const points = samples.map((value, index) => (first + index) + ',' + (32 - value / top * 29).toFixed(1)).join(' ')
    line.setAttribute('points', points)
    area.setAttribute('points', samples.length ? first + ',34 ' + points + ' ' + (SAMPLES - 1) + ',34' : '')
  } }
}

/** Rates by database: between two states, and zero when none comes, because a quiet pglease sends none. */
const rates = new Map()
const QUIET_MS = 2600
function measure(state, now) {
  const names = new Set(state.databases.map((one) => one.name))
  for (const name of rates.keys()) if (!names.has(name)) rates.delete(name)
  for (const one of state.databases) {
    const before = rates.get(one.name)
    const rate = { at: now, last: one, queries: 0, transactions: 0, bytes: 0, samples: before ? before.samples : [] }
    const seconds = before ? (now - before.at) / 1000 : 0
    // a counter that fell belongs to another process
    if (before && seconds < 0.2) { before.last = one; continue }
    if (before && one.queries >= before.last.queries) {
      rate.queries = (one.queries - before.last.queries) / seconds
      rate.transactions = Math.max(0, one.transactions - before.last.transactions) / seconds
      rate.bytes = Math.max(0, one.bytesIn + one.bytesOut - before.last.bytesIn - before.last.bytesOut) / seconds
    }
    rates.set(one.name, rate)
  }
}
function pulse(now) {
  for (const rate of rates.values()) {
    if (now - rate.at > QUIET_MS) rate.queries = rate.transactions = rate.bytes = 0
    rate.samples.push(rate.queries)
    if (rate.samples.length > SAMPLES) rate.samples.shift()
  }
}
`

const CARDS = `
function vaultCard() {
  const value = element('span', 'big'), address = element('p', 'soft'), trouble = element('p', 'trouble')
  const node = element('div', 'card', element('span', 'title', 'Vault'), value, address, trouble)
  return { name: 'vault', node, wanted: (state) => state.vault !== undefined, show({ vault }) {
    setText(value, vault.available ? 'available' : 'not available')
    setClass(value, vault.available ? 'big' : 'big bad')
    setText(address, vault.address)
    setOptional(trouble, vault.trouble)
  } }
}

function tokenCard() {
  const value = element('span', 'big'), bar = countdown(), note = element('p', 'soft')
  const node = element('div', 'card', element('span', 'title', 'Vault token'), value, bar.node, note)
  return { name: 'token', node, wanted: (state) => state.token !== undefined, show({ token }, elapsed) {
    const seconds = later(token.remainingSeconds, elapsed)
    setText(value, left(seconds))
    bar.update('token', seconds, token.durationSeconds)
    setText(note, token.method + ', ' + (token.kind === 'foreign' ? 'given to pglease' : token.kind === 'own' ? 'own login' : token.kind))
  } }
}

function checksCard(title, key) {
  const list = element('div', ''), verdict = element('span', 'pill')
  const node = element('div', 'card', element('div', 'row', element('span', 'title', title), verdict), list)
  const make = () => {
    const text = element('span', ''), row = element('div', 'check', element('i'), text)
    return { node: row, update(check) {
      setClass(row, check.ok ? 'check' : 'check failing')
      setText(text, check.name + (check.ok || !check.reason ? '' : ': ' + check.reason))
    } }
  }
  return { name: key, node, wanted: () => true, show(state) {
    const ok = state[key].every((check) => check.ok)
    setText(verdict, ok ? 'ok' : 'failing')
    setClass(verdict, ok ? 'pill good' : 'pill bad')
    keyed(list, state[key], (check) => check.name, make)
  } }
}

function generationRow() {
  const name = element('span', 'mono'), note = element('span', 'soft end'), node = element('div', 'row', name, note)
  return { node, update(one, elapsed) {
    setText(name, '#' + one.generation + ' ' + one.user)
    setText(note, one.state + ', ' + left(later(one.remainingSeconds, elapsed)))
  } }
}

const GENERATION_PILLS = { current: 'good', offered: 'warn', overdue: 'bad', gone: 'bad' }
function sourceCard(first) {
  const pill = element('span', 'pill'), user = element('span', 'mono'), time = element('span', 'big'), bar = countdown()
  const note = element('p', 'soft'), trouble = element('p', 'trouble'), older = element('div', 'older')
  const node = element('div', 'card', element('div', 'row', element('h3', '', first.name), pill),
    element('div', 'row', user, time), bar.node, note, trouble, older)
  return { node, update(source, elapsed) {
    const newest = source.generations.find((one) => one.generation === source.generation)
    const seconds = later(source.remainingSeconds, elapsed)
    const state = newest ? newest.state : source.generation === 0 ? 'no credential yet' : 'current'
    setText(pill, source.generation === 0 ? state : 'generation ' + source.generation + (state === 'current' ? '' : ', ' + state))
    setClass(pill, 'pill ' + (GENERATION_PILLS[state] || 'warn'))
    setText(user, source.user || (newest ? newest.user : ''))
    setText(time, source.generation === 0 ? '' : left(seconds))
    bar.node.hidden = source.generation === 0
    bar.update(source.generation, seconds, newest && newest.durationSeconds)
    const draining = source.linksDraining === 0 ? '' : source.linksDraining + (source.linksDraining === 1 ? ' link uses' : ' links use') + ' an older one'
    setOptional(note, [source.vaultPath, draining].filter(Boolean).join(' · '))
    node.title = newest && newest.leaseId ? 'lease ' + newest.leaseId : ''
    setOptional(trouble, source.trouble)
    const others = source.generations.filter((one) => one !== newest)
    older.hidden = others.length === 0
    keyed(older, others, (one) => one.generation, generationRow, elapsed)
  } }
}

function databaseCard(first) {
  const clients = stack(['active', 'waiting', 'idle', 'replication'], 3)
  const links = stack(['active', 'idle', 'used', 'tested', 'login', 'closing', 'listening', 'replication'], 2)
  const clientsNote = element('span', 'soft'), linksNote = element('span', 'soft'), trouble = element('p', 'trouble'), line = spark()
  const labels = ['queries/s', 'transactions/s', 'traffic', 'queries so far']
  const values = labels.map(() => element('b', ''))
  const node = element('div', 'card', element('div', 'row', element('h3', '', first.name)), trouble,
    element('div', 'row', element('span', 'title', 'Clients'), clientsNote), clients.node,
    element('div', 'row', element('span', 'title', 'Links to PostgreSQL'), linksNote), links.node, line.node,
    element('div', 'numbers', ...labels.map((label, index) => element('div', '', values[index], element('span', '', label)))))
  const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0)
  return { node, update(database) {
    const rate = rates.get(database.name)
    clients.update(database.clients)
    links.update(database.servers, database.poolSize)
    setText(clientsNote, String(sum(database.clients)))
    const { listening, replication } = database.servers
    setText(linksNote, sum(database.servers) - listening - replication + (database.poolSize ? ' of ' + database.poolSize : '') +
      (database.pinned ? ', ' + database.pinned + ' kept by statements' : ''))
    setOptional(trouble, database.trouble)
    const texts = [amount(rate.queries, ''), amount(rate.transactions, ''), amount(rate.bytes, 'B/s'), amount(database.queries, '')]
    texts.forEach((text, index) => setText(values[index], text))
    line.update(rate.samples)
  } }
}

const OWN_COLUMNS = new Set(['time', 'level', 'event', 'msg'])
const LEVELS = new Set(['debug', 'info', 'warning', 'error'])
function logLine(line) {
  const fields = Object.entries(line).filter(([key]) => !OWN_COLUMNS.has(key)).map(([key, value]) => key + '=' + value).join(' ')
  const time = element('time', '', String(line.time).slice(11, 23))
  time.title = line.time
  const text = element('span', '', element('span', 'msg', String(line.msg)), element('span', 'fields', fields))
  return element('div', 'line ' + (LEVELS.has(line.level) ? line.level : 'info'), time, element('span', 'event', String(line.event)), text)
}
`

export const STATUS_PARTS = BASICS + BARS + CARDS
