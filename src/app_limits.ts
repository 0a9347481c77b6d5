// Builds the limits that several databases share: links of a user and of a PostgreSQL host, clients of a user.
import { Admission, ClientCount } from './client/admission.ts'
import { Budget } from './pool/budget.ts'
import { Places } from './pool/places.ts'
import { hostText } from './settings/hosts.ts'
import type { DatabaseSettings, Settings } from './settings/settings.ts'

/** The pool's user: the role, or where Vault gives out the roles. Never a name that a client invents. */
const userOf = ({ user, vault_path }: DatabaseSettings): string => (vault_path === undefined ? `user ${user}` : `vault ${vault_path}`)

export class SharedLimits {
  readonly #settings: Settings
  readonly #budgets = new Map<string, Budget>()
  readonly #clients = new Map<string, ClientCount>()

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** The limits on links that the pool of `database` keeps beside its own size. */
  places(database: DatabaseSettings): Places {
    const { max_server_connections } = this.#settings
    const limits: [string, number][] = [
      [`database ${database.name}`, database.max_db_connections],
      [userOf(database), database.max_user_connections],
    ]
    const always = limits.filter(([, limit]) => limit > 0).map(([key, limit]) => this.#budget(key, limit))
    const hosts = max_server_connections === 0 ? [] : database.hosts.map(hostText)
    return new Places(always, new Map(hosts.map((host) => [host, this.#budget(`host ${host}`, max_server_connections)])))
  }

  admission(database: DatabaseSettings): Admission {
    const key = userOf(database)
    const users = this.#clients.get(key) ?? new ClientCount(database.max_user_client_connections, 'too_many_user_clients')
    this.#clients.set(key, users)
    return new Admission([new ClientCount(database.max_db_client_connections, 'too_many_database_clients'), users])
  }

  #budget(key: string, limit: number): Budget {
    const budget = this.#budgets.get(key) ?? new Budget(limit)
    this.#budgets.set(key, budget)
    return budget
  }
}
