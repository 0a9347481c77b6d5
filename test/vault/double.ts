// What a source and the Vault client are surrounded with in tests: consumers, settings, an observer and a log that remember.
import type { Credential, CredentialConsumer, CredentialSource, Trouble } from '../../src/credential.ts'
import type { Log, LogEvent, LogFields, LogLevel } from '../../src/log.ts'
import { Secret } from '../../src/secret.ts'
import type { VaultSettings } from '../../src/vault/context.ts'
import type { VaultObserver, VaultOperation } from '../../src/vault/observer.ts'

export function vaultSettings(changes: Partial<VaultSettings>): VaultSettings {
  return {
    vault_addr: 'http://127.0.0.1:8200',
    vault_namespace: undefined,
    vault_auth_method: 'approle',
    vault_auth_mount: changes.vault_auth_method ?? 'approle',
    vault_auth_role: 'default',
    vault_token: undefined,
    vault_token_file: undefined,
    vault_jwt_file: '/nonexistent',
    vault_role_id: new Secret('role-id-of-tests'),
    vault_secret_id: new Secret('secret-id-of-tests'),
    vault_timeout: 60_000,
    rotate_before: 0,
    lease_renew_fraction: 2 / 3,
    ...changes,
  }
}

/** Counts by `name:label...`. */
export class RecordingObserver implements VaultObserver {
  readonly counts = new Map<string, number>()
  readonly requests: { operation: VaultOperation; status: string; ms: number }[] = []
  count(name: string): number {
    return this.counts.get(name) ?? 0
  }
  #add(name: string): void {
    this.counts.set(name, this.count(name) + 1)
  }
  vaultRequest(operation: VaultOperation, status: string, ms: number): void {
    this.requests.push({ operation, status, ms })
    this.#add(`request:${operation}`)
  }
  vaultLogin(result: string): void {
    this.#add(`login:${result}`)
  }
  leaseRenewal(_source: string, result: string): void {
    this.#add(`renewal:${result}`)
  }
  rotation(_source: string, result: string): void {
    this.#add(`rotation:${result}`)
  }
  revocation(result: string): void {
    this.#add(`revocation:${result}`)
  }
  possiblyOrphaned(): void {
    this.#add('orphaned')
  }
}

interface LogLine {
  level: LogLevel
  event: LogEvent
  msg: string
  fields: LogFields | undefined
}

export class RecordingLog implements Log {
  readonly lines: LogLine[] = []
  #write(level: LogLevel, event: LogEvent, msg: string, fields: LogFields | undefined): void {
    this.lines.push({ level, event, msg, fields })
  }
  debug(event: LogEvent, msg: string, fields?: LogFields): void {
    this.#write('debug', event, msg, fields)
  }
  info(event: LogEvent, msg: string, fields?: LogFields): void {
    this.#write('info', event, msg, fields)
  }
  warning(event: LogEvent, msg: string, fields?: LogFields): void {
    this.#write('warning', event, msg, fields)
  }
  error(event: LogEvent, msg: string, fields?: LogFields): void {
    this.#write('error', event, msg, fields)
  }
  of(event: LogEvent): LogLine[] {
    return this.lines.filter((line) => line.event === event)
  }
  get text(): string {
    return this.lines.map((line) => `${line.level} ${line.event} ${line.msg} ${JSON.stringify(line.fields ?? {})}`).join('\n')
  }
}

/** A consumer that proves what `accepts` lets through, and says it is drained of the older ones unless it `holds`. */
export class TestConsumer implements CredentialConsumer {
  readonly events: string[] = []
  readonly offered: Credential[] = []
  readonly held = new Set<number>()
  holds = false
  trouble_: Trouble | undefined
  /** Answers whether the login succeeded; a string is a SQLSTATE to report; undefined = no answer yet. */
  accepts: (credential: Credential) => Promise<boolean | string> | boolean | string = () => true
  proven = 0
  readonly #source: CredentialSource
  readonly end: () => void

  constructor(source: CredentialSource, changes: Partial<Pick<TestConsumer, 'accepts' | 'holds'>> = {}) {
    this.#source = source
    Object.assign(this, changes)
    this.end = source.subscribe(this)
  }

  offer(credential: Credential): void {
    this.events.push(`offer ${credential.generation}`)
    this.offered.push(credential)
    const answer = this.accepts(credential)
    if (answer instanceof Promise) void answer.then((result) => this.#answered(credential, result))
    else queueMicrotask(() => this.#answered(credential, answer))
  }

  #answered(credential: Credential, result: boolean | string): void {
    if (typeof result === 'string') this.#source.reportFailure(credential.generation, result)
    else if (result) this.prove(credential.generation)
  }

  prove(generation: number): void {
    this.proven = Math.max(this.proven, generation)
    this.held.add(generation)
    this.#source.reportProven(this, generation)
    if (this.holds) return
    for (const older of [...this.held]) if (older < this.proven) this.drain(older)
  }

  drain(generation: number): void {
    this.held.delete(generation)
    this.#source.reportDrained(this, generation)
  }

  overdue(generation: number): void {
    this.events.push(`overdue ${generation}`)
  }
  gone(generation: number): void {
    this.events.push(`gone ${generation}`)
  }
  trouble(trouble: Trouble | undefined): void {
    this.trouble_ = trouble
    this.events.push(`trouble ${trouble?.code ?? 'over'}`)
  }
}
