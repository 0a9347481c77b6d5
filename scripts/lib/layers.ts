// Proves the shape of src/: who may import whom, and which file alone may touch the clock, the runtime or a library.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'

/** The layer of each folder, and of each file directly in src/, which counts as a folder of its own. */
const LAYERS: Record<string, number> = {
  'main.ts': 8,
  cli: 7,
  http: 5,
  console: 5,
  client: 4,
  tenant: 4,
  vault: 3,
  server: 3,
  pool: 3,
  net: 2,
  wire: 1,
  settings: 1,
  'credential.ts': 1,
  'identity.ts': 1,
  'shutdown.ts': 1,
  'errors.ts': 0,
  'secret.ts': 0,
  'clock.ts': 0,
}
/** Files of a family that are one place in the layout: metrics.ts and metrics_table.ts, app.ts and what it is put together from. */
const FAMILIES: [RegExp, string, number][] = [
  [/^metrics(_\w+)?\.ts$/, 'metrics', 1],
  [/^app(_\w+)?\.ts$/, 'app', 6],
  [/^log(_\w+)?\.ts$/, 'log', 0],
]

/** Libraries that exactly one file wraps. */
const ONE_IMPORTER = ['ky', 'pg-protocol', 'prom-client']
/** Where data from outside comes in and is validated. */
const EDGES = ['settings', 'vault', 'http', 'cli', 'console']

const TIME =
  /\b(?:setTimeout|setInterval|setImmediate|Math\.random|Date\.now|performance\.now|AbortSignal\.timeout|Bun\.sleep)\b|\bnew Date\(\s*\)/g
const RUNTIME = /\b(?:Bun|Deno)\.\w+/g
const RUNTIME_MODULES = /^(?:bun(?::.*)?|node:(?:net|tls|dns|http|https|http2|dgram)(?:\/.*)?)$/
const TIMER_MODULES = /^node:timers(?:\/.*)?$/

interface Source {
  path: string
  /** The text without comments and the contents of strings. */
  code: string
  imports: string[]
}

/** The mistakes in `files` (path below src/ with forward slashes, and text), one line each. */
export function layerMistakes(files: ReadonlyMap<string, string>): string[] {
  const sources = [...files].map(([path, text]) => read(path, text))
  return [
    ...sources.flatMap((source) => [...purposeMistakes(source.path, files), ...importMistakes(source, files), ...touchMistakes(source)]),
    ...importerMistakes(sources),
    ...cycleMistakes(sources),
  ]
}

/** The TypeScript files below `folder`, for `layerMistakes`. */
export function readSources(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  return new Map(names.sort().map((name) => [name.replaceAll('\\', '/'), readFileSync(join(folder, name), 'utf8')]))
}

const COMMENT_OR_STRING = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g
const IMPORT = /\b(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/g

function read(path: string, text: string): Source {
  const withoutComments = text.replace(COMMENT_OR_STRING, (match) => (match.startsWith('/') ? ' ' : match))
  const imports = [...withoutComments.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? '')
  const code = withoutComments.replace(COMMENT_OR_STRING, (match) => {
    // what a template computes is code
    return match.startsWith('`') ? [...match.matchAll(/\$\{([^}]*)\}/g)].map(([, inner]) => inner).join(' ') : "''"
  })
  return { path, code, imports }
}

/** The place of a file in the layout: its folder, or itself. */
function place(path: string): { name: string; layer: number | undefined } {
  const [first = ''] = path.split('/')
  for (const [pattern, name, layer] of FAMILIES) if (pattern.test(path)) return { name, layer }
  return { name: first, layer: LAYERS[first] }
}

function purposeMistakes(path: string, files: ReadonlyMap<string, string>): string[] {
  return files.get(path)?.startsWith('// ') ? [] : [`src/${path}: line 1 must be a comment that says what the file is for`]
}

const target = (from: string, specifier: string): string => posix.join(dirname(from), specifier)

function importMistakes({ path, imports }: Source, files: ReadonlyMap<string, string>): string[] {
  const own = place(path)
  if (own.layer === undefined) return [`src/${path}: ${own.name} has no layer: add it to the layout`]
  return imports.flatMap((specifier) => {
    // its version is read where the command line says it
    if (!specifier.startsWith('.') || specifier === '../../package.json') return []
    const to = target(path, specifier)
    if (!files.has(to)) return to.startsWith('..') ? [`src/${path} imports ${specifier}, outside of src`] : []
    const other = place(to)
    if (other.name === own.name || (other.layer ?? 9) < (own.layer ?? 0)) return []
    const kind = other.layer === own.layer ? 'sideways' : 'upward'
    return [`src/${path} (layer ${own.layer}) imports src/${to} (layer ${other.layer}): ${kind}`]
  })
}

function touchMistakes({ path, code, imports }: Source): string[] {
  const mistakes: string[] = []
  if (path !== 'clock.ts') {
    for (const [found] of code.matchAll(TIME)) mistakes.push(`src/${path} touches ${found}: only clock.ts does`)
    for (const name of imports.filter((one) => TIMER_MODULES.test(one))) mistakes.push(`src/${path} imports ${name}: only clock.ts does`)
  }
  if (!path.startsWith('net/')) {
    for (const [found] of code.matchAll(RUNTIME)) mistakes.push(`src/${path} touches ${found}: only net/ does`)
    for (const name of imports.filter((one) => RUNTIME_MODULES.test(one))) mistakes.push(`src/${path} imports ${name}: only net/ does`)
  }
  return mistakes
}

const isFrom = (specifier: string, library: string) => specifier === library || specifier.startsWith(`${library}/`)

function importerMistakes(sources: readonly Source[]): string[] {
  const importers = (library: string) =>
    sources.filter(({ imports }) => imports.some((specifier) => isFrom(specifier, library))).map(({ path }) => path)
  const several = ONE_IMPORTER.flatMap((library) => {
    const found = importers(library)
    return found.length > 1 ? [`${library} has ${found.length} importers, one is allowed: ${found.join(', ')}`] : []
  })
  const inside = importers('valibot').filter((path) => !EDGES.includes(place(path).name))
  return [...several, ...inside.map((path) => `src/${path} imports valibot: only the edges (${EDGES.join(', ')}) do`)]
}

/** Each cycle once, as the files in their order. */
function cycleMistakes(sources: readonly Source[]): string[] {
  const graph = new Map(
    sources.map(({ path, imports }) => [path, imports.filter((one) => one.startsWith('.')).map((one) => target(path, one))]),
  )
  const mistakes: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]) => {
    const at = trail.indexOf(path)
    if (at >= 0) return void mistakes.push(`cycle: ${[...trail.slice(at), path].join(' -> ')}`)
    if (done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return mistakes
}
