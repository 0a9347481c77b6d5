// How a token is obtained: by a login of our own, or as someone else's token out of a setting or a file.
import { readFileSync } from 'node:fs'
import { PgleaseError } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { VaultContext } from './context.ts'
import { asFailure } from './failure.ts'
import type { Instant } from './schedule.ts'
import { LoginAnswer, LookupSelfAnswer } from './schema.ts'

const PRINTABLE = /^[\x21-\x7e]+$/

/** A token as Vault described it. */
export interface GrantedToken {
  readonly secret: Secret
  /** When the request that told `durationMs` was sent. */
  readonly sent: Instant
  /** 0 = it never ends (root). */
  readonly durationMs: number
  readonly renewable: boolean
  readonly batch: boolean
  /** 0 = no limit. */
  readonly uses: number
  /** 0 = none, or not told. */
  readonly explicitMaxMs: number
}

export interface LoginMethod {
  /** own: it came from our login and is ours to revoke. */
  readonly own: boolean
  /** Someone else renews the token (a sink file). */
  readonly renewedElsewhere: boolean
  /** Throws a PgleaseError (vault_login_failed when it is refused). */
  obtain(timeoutMs: number): Promise<GrantedToken>
  /** Whether `obtain` would now begin with another token than `secret`. */
  differs(secret: Secret): boolean
}

/** The contents of `file` without surrounding space. Throws vault_login_failed that names `setting`. */
function readSecretFile(setting: string, file: string): Secret {
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new PgleaseError('vault_login_failed', `${setting} ${file} cannot be read (${code})`)
  }
  if (!PRINTABLE.test(text))
    throw new PgleaseError('vault_login_failed', `${setting} ${file} holds no token (empty, or more than one word)`)
  return new Secret(text)
}

function required(setting: string, value: Secret | undefined): Secret {
  if (value === undefined) throw new PgleaseError('vault_login_failed', `${setting} is not set`)
  return value
}

/** Refusals of a login are one kind of failure, whatever their status; what passes by itself stays as it is. */
function loginFailure(error: unknown, hint: string): PgleaseError {
  const failure = asFailure(error)
  const refused = failure.code === 'vault_bad_request' || failure.code === 'vault_denied' || failure.code === 'vault_path_missing'
  return refused ? failure.as('vault_login_failed', `${failure.detail} (${hint})`) : failure
}

/** POST auth/<mount>/login with `body`, read anew at each login. */
function ownLogin(context: VaultContext, body: () => Readonly<Record<string, string | Secret>>, hint: string): LoginMethod {
  return {
    own: true,
    renewedElsewhere: false,
    differs: () => false,
    async obtain(timeoutMs) {
      const path = `auth/${context.settings.vault_auth_mount}/login`
      const sent = context.now()
      try {
        const { auth } = await context.ask(LoginAnswer, { operation: 'login', method: 'POST', path, body: body(), timeoutMs })
        return {
          secret: new Secret(auth.client_token),
          sent,
          durationMs: auth.lease_duration * 1000,
          renewable: auth.renewable,
          batch: auth.token_type === 'batch',
          uses: auth.num_uses,
          explicitMaxMs: 0,
        }
      } catch (error) {
        throw loginFailure(error, hint)
      }
    },
  }
}

/** GET auth/token/lookup-self. Throws VaultFailure. */
export async function lookupToken(context: VaultContext, secret: Secret, timeoutMs: number): Promise<GrantedToken> {
  const sent = context.now()
  const request = { operation: 'token_lookup', method: 'GET', path: 'auth/token/lookup-self', token: secret, timeoutMs } as const
  const { data } = await context.ask(LookupSelfAnswer, request)
  return {
    secret,
    sent,
    durationMs: data.expire_time === null ? 0 : Math.max(1, data.ttl * 1000),
    renewable: data.renewable,
    batch: data.type === 'batch',
    uses: data.num_uses,
    explicitMaxMs: data.explicit_max_ttl * 1000,
  }
}

/** Whether Vault's refusal says that the token itself is no good, rather than that a policy forbids the request. */
export function saysInvalidToken(detail: string): boolean {
  return /invalid token|bad token/i.test(detail)
}

function foreignToken(context: VaultContext, setting: string, current: () => Secret, renewedElsewhere: boolean): LoginMethod {
  return {
    own: false,
    renewedElsewhere,
    differs(secret) {
      try {
        return current().reveal() !== secret.reveal()
      } catch {
        // being replaced right now, or gone: the token in hand is all there is
        return false
      }
    },
    async obtain(timeoutMs) {
      const secret = current()
      try {
        return await lookupToken(context, secret, timeoutMs)
      } catch (error) {
        const failure = asFailure(error)
        if (failure.code !== 'vault_denied' || saysInvalidToken(failure.detail)) {
          throw loginFailure(failure, `the token of ${setting} is not accepted`)
        }
        // valid, but without the default policy: its end cannot be known, and nothing is gained by refusing it
        if (context.once('token lookup')) {
          const rule = 'path "auth/token/lookup-self" { capabilities = ["read"] }'
          context.log.warning('token_warning', `the token may not look itself up, so its end is unknown; add to its policy: ${rule}`)
        }
        const unknown = { durationMs: 0, renewable: false, batch: false, uses: 0, explicitMaxMs: 0 }
        return { ...unknown, secret, sent: context.now() }
      }
    },
  }
}

/** The configured way to a token. */
export function loginMethod(context: VaultContext): LoginMethod {
  const settings = () => context.settings
  switch (context.settings.vault_auth_method) {
    case 'kubernetes':
      return ownLogin(
        context,
        () => ({ role: settings().vault_auth_role, jwt: readSecretFile('vault_jwt_file', settings().vault_jwt_file) }),
        'see vault_auth_mount, vault_auth_role, and the role of that name in Vault',
      )
    case 'approle':
      return ownLogin(
        context,
        () => ({
          role_id: required('vault_role_id', settings().vault_role_id),
          secret_id: required('vault_secret_id', settings().vault_secret_id),
        }),
        'see vault_auth_mount, vault_role_id and vault_secret_id',
      )
    case 'token':
      return foreignToken(context, 'vault_token', () => required('vault_token', settings().vault_token), false)
    case 'token_file':
      return foreignToken(context, 'vault_token_file', () => readSecretFile('vault_token_file', settings().vault_token_file ?? ''), true)
  }
}

/** Says what about a token will end the leases early, once per process, with the remedy. */
export function warnAboutToken(context: VaultContext, token: GrantedToken, own: boolean): void {
  const remedy = 'give its role token_period, so that renewing it has no limit'
  const warn = (topic: string, message: string) => {
    if (context.once(`token ${topic}`)) context.log.warning('token_warning', `${message}; ${remedy}`)
  }
  if (token.batch) warn('batch', 'the token is a batch token: it cannot be renewed, and every lease ends with it (token_type=service)')
  else if (!token.renewable && token.durationMs > 0 && own) warn('renewable', 'the token cannot be renewed, and every lease ends with it')
  if (token.explicitMaxMs > 0) {
    warn('explicit_max_ttl', `the token has an explicit_max_ttl of ${token.explicitMaxMs / 1000} s, and every lease ends with it`)
  }
  if (token.uses > 0) warn('num_uses', `the token may be used ${token.uses} times only (token_num_uses); set that to 0`)
}
