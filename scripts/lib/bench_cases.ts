// What the benchmark measures, and the ratios to pgbouncer that pglease is asked to keep.

export type Figure = 'cpu' | 'rate' | 'resident'

export interface Limit {
  /** Processor time per unit or rate, as a ratio pglease/pgbouncer pair by pair; or resident memory in MB. */
  figure: Figure
  /** `cpu` and `resident` at most, `rate` at least. */
  bound: number
  /** What is aimed at, where that is stricter than the bound. */
  target?: number
}

interface CaseHead {
  name: string
  limit?: Limit
}

export interface PgbenchCase extends CaseHead {
  kind: 'pgbench'
  clients: number
  protocol: 'simple' | 'extended'
  /** pgbench -C: a new connection for each transaction. */
  reconnect?: boolean
  /** TLS to PostgreSQL, verify-full. */
  tls?: boolean
}

export interface CopyCase extends CaseHead {
  kind: 'copy'
  direction: 'out' | 'in'
}

export interface IdleCase extends CaseHead {
  kind: 'idle'
  clients: number
}

export type BenchCase = PgbenchCase | CopyCase | IdleCase

const PER_TRANSACTION: Limit = { figure: 'cpu', bound: 1.3, target: 1.15 }

const pgbench = (protocol: 'simple' | 'extended', clients: number, limit: Limit): PgbenchCase => {
  return { kind: 'pgbench', name: `${protocol}-${clients}`, protocol, clients, limit }
}

export const CASES: readonly BenchCase[] = [
  pgbench('simple', 1, { figure: 'rate', bound: 0.95 }),
  pgbench('simple', 16, PER_TRANSACTION),
  pgbench('simple', 64, PER_TRANSACTION),
  pgbench('extended', 1, { figure: 'rate', bound: 0.95 }),
  pgbench('extended', 16, PER_TRANSACTION),
  pgbench('extended', 64, PER_TRANSACTION),
  { kind: 'pgbench', name: 'connect-16', protocol: 'simple', clients: 16, reconnect: true, limit: { figure: 'cpu', bound: 1.2 } },
  { kind: 'copy', name: 'copy-out', direction: 'out', limit: { figure: 'cpu', bound: 0.9 } },
  { kind: 'copy', name: 'copy-in', direction: 'in', limit: { figure: 'cpu', bound: 0.9 } },
  { ...pgbench('simple', 16, PER_TRANSACTION), name: 'tls-16', tls: true },
  { kind: 'idle', name: 'idle-2000', clients: 2000, limit: { figure: 'resident', bound: 64 } },
]

/** The cases whose name is, or begins with, one of `wanted`; all for none. Throws for a name that fits nothing. */
export function casesNamed(wanted: readonly string[]): BenchCase[] {
  for (const name of wanted) {
    if (CASES.some((one) => one.name.startsWith(name))) continue
    throw new Error(`no case is named ${name}; there are ${CASES.map((one) => one.name).join(', ')}`)
  }
  return CASES.filter((one) => wanted.length === 0 || wanted.some((name) => one.name.startsWith(name)))
}
