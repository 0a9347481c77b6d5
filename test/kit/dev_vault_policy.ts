// Policies of the stand-in Vault: the paths and capabilities of HCL rules, and whether they allow a request.
import { Refusal } from './dev_vault_answer.ts'

type Capability = 'create' | 'read' | 'update' | 'delete' | 'list' | 'sudo' | 'deny'

interface Rule {
  path: string
  capabilities: ReadonlySet<string>
}

const DEFAULT_POLICY = `
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/renew" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
`

/** What a policy must grant on top of the operation's own capability. */
const SUDO = ['auth/token/accessors', 'sys/seal', 'sys/leases/revoke-force/*', 'sys/leases/revoke-prefix/*', 'sys/leases/lookup/*']

function parse(text: string): Rule[] {
  const bare = text.replace(/^\s*#.*$/gm, '')
  const rules = [...bare.matchAll(/path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}/g)].map(([, path = '', list = '']) => ({
    path,
    capabilities: new Set([...list.matchAll(/"(\w+)"/g)].map(([, name = '']) => name)),
  }))
  if (rules.length !== (bare.match(/path\s+"/g) ?? []).length) throw new Refusal(400, 'failed to parse policy: only path and capabilities')
  return rules
}

/** Whether `pattern` (`*` at its end, `+` for one segment) covers `path`. */
function covers(pattern: string, path: string): boolean {
  const prefix = pattern.endsWith('*')
  const wanted = (prefix ? pattern.slice(0, -1) : pattern).split('/')
  const given = path.split('/')
  if (prefix ? given.length < wanted.length : given.length !== wanted.length) return false
  return wanted.every((segment, index) => {
    const other = given[index] ?? ''
    if (segment === '+') return other !== ''
    return prefix && index === wanted.length - 1 ? other.startsWith(segment) : segment === other
  })
}

/** The more exact of two patterns comes first, as Vault ranks them. */
function rank(a: string, b: string): number {
  const firstWild = (path: string) => {
    const at = path.search(/[+*]/)
    return at < 0 ? Number.POSITIVE_INFINITY : at
  }
  return firstWild(b) - firstWild(a) || Number(a.endsWith('*')) - Number(b.endsWith('*')) || b.length - a.length
}

export class Policies {
  readonly #rules = new Map<string, Rule[]>([['default', parse(DEFAULT_POLICY)]])

  write(name: string, text: string): void {
    this.#rules.set(name.toLowerCase(), parse(text))
  }

  remove(name: string): void {
    this.#rules.delete(name.toLowerCase())
  }

  names(): string[] {
    return [...this.#rules.keys(), 'root']
  }

  /** Whether a token with the policies `names` may do `capability` at `path` (without /v1/). */
  allow(names: readonly string[], path: string, capability: Capability): boolean {
    if (names.includes('root')) return true
    const rules = names.flatMap((name) => this.#rules.get(name) ?? []).filter((rule) => covers(rule.path, path))
    const best = rules.map((rule) => rule.path).sort(rank)[0]
    const granted = new Set(rules.filter((rule) => rule.path === best).flatMap((rule) => [...rule.capabilities]))
    if (granted.has('deny')) return false
    if (SUDO.some((pattern) => covers(pattern, path)) && !granted.has('sudo')) return false
    return granted.has(capability) || (capability === 'update' && granted.has('create'))
  }
}
