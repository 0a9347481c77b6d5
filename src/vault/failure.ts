// Failures of requests to Vault: mapped at once, with filtered text and nothing else of request or answer.
import { type ErrorCode, PgleaseError } from '../errors.ts'

const LONGEST_TEXT = 300

/** What Vault's own tokens and JWTs look like, and the password of an address. */
const LOOKS_SECRET = [
  /\b(?:hv[sbr]|s|b|r)\.[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*/g,
  /\bey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g,
  /(?<=:\/\/[^\s:@/]*:)[^\s@]+(?=@)/g,
  /(?<=\bpassword=)(?:'[^']*'|\S+)/gi,
]

interface FailureFacts {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number
  /** The request may have been carried out although no usable answer came. */
  readonly lost?: boolean
  /** What Vault asked to wait (Retry-After). */
  readonly retryAfterMs?: number
  /** Whatever runs Vault cannot serve anybody now: sealed, restarting, not reachable. */
  readonly away?: boolean
}

/** A failed request to Vault. */
export class VaultFailure extends PgleaseError {
  readonly status: number
  readonly lost: boolean
  readonly retryAfterMs: number
  readonly away: boolean
  constructor(code: ErrorCode, detail: string, facts: FailureFacts) {
    super(code, detail)
    this.status = facts.status
    this.lost = facts.lost ?? false
    this.retryAfterMs = facts.retryAfterMs ?? 0
    this.away = facts.away ?? false
  }

  /** The same failure under another code, as when a login is refused. */
  as(code: ErrorCode, detail = this.detail): VaultFailure {
    return new VaultFailure(code, detail, this)
  }
}

/** `error` as a VaultFailure; anything unknown is a bug of ours and says so without its message. */
export function asFailure(error: unknown): VaultFailure {
  if (error instanceof VaultFailure) return error
  if (error instanceof PgleaseError) return new VaultFailure(error.code, error.detail, { status: 0 })
  return new VaultFailure('vault_bad_answer', `unexpected ${error instanceof Error ? error.name : typeof error}`, { status: 0 })
}

/** Text of another program, fit for a log line: one line, short, without `secrets` and what looks like one. */
export function filterText(text: string, secrets: readonly string[] = []): string {
  let clean = text
  for (const secret of secrets) {
    if (secret.length < 4) continue
    for (const form of new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), btoaOrSame(secret)])) {
      clean = clean.replaceAll(form, '[redacted]')
    }
  }
  for (const pattern of LOOKS_SECRET) clean = clean.replace(pattern, '[redacted]')
  clean = clean.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
  return clean.length > LONGEST_TEXT ? `${clean.slice(0, LONGEST_TEXT)}...` : clean
}

function btoaOrSame(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}

const BY_STATUS: Readonly<Record<number, ErrorCode>> = { 400: 'vault_bad_request', 403: 'vault_denied', 404: 'vault_path_missing' }

const TRANSIENT = new Set([412, 429, 472, 473, 474])

/** These say that the whole of Vault is away: sealed, no active node, or a gateway that does not reach it. */
const AWAY = new Set([472, 474, 501, 502, 503, 504, 530])

/**
 * The failure that an answer with `status` is. `texts` are the `errors` of its body, undefined when the body was not Vault's:
 * then a gateway spoke, which may have given up on a request that Vault carries out.
 */
export function failureOfStatus(
  status: number,
  path: string,
  texts: readonly string[] | undefined,
  facts: { readonly secrets: readonly string[]; readonly retryAfterMs: number },
): VaultFailure {
  const said = filterText((texts ?? []).join('; '), facts.secrets)
  const detail = `${path}: ${status}${said === '' ? '' : ` ${said}`}`
  const transient = status >= 500 || TRANSIENT.has(status)
  return new VaultFailure(transient ? 'vault_unavailable' : (BY_STATUS[status] ?? 'vault_bad_answer'), detail, {
    status,
    away: AWAY.has(status),
    lost: texts === undefined && (status === 502 || status === 504),
    retryAfterMs: facts.retryAfterMs,
  })
}

/** What a person has to do about a refusal; '' where Vault's words say it all. */
export function remedyOf(code: ErrorCode, vaultPath: string): string {
  if (code === 'vault_denied') return `; the policy has to hold: path "${vaultPath}" { capabilities = ["read"] }`
  if (code === 'vault_path_missing' || code === 'vault_bad_request') return '; is vault_path the mount and the role that exist in Vault?'
  return ''
}
