// What Vault is asked about a token in hand: its renewal and its end. Failures are answers here, never thrown.
import type { VaultContext } from './context.ts'
import { asFailure } from './failure.ts'
import { saysInvalidToken } from './login.ts'
import { isShortGrant, renewalTimeoutMs } from './schedule.ts'
import { RenewSelfAnswer } from './schema.ts'
import type { Token } from './token.ts'

/**
 * renewed: as long as asked, or for ever. short: for less, because its maximum is near. refused: no renewal will be granted.
 * invalid: Vault knows it no more. failed: worth another try, not before `retryAfterMs`.
 */
type RenewalOutcome =
  | { readonly kind: 'renewed' | 'short' | 'refused' | 'invalid' }
  | { readonly kind: 'failed'; readonly retryAfterMs: number }

/** PUT auth/token/renew-self; a grant is written into `token`. */
export async function renewToken(context: VaultContext, token: Token): Promise<RenewalOutcome> {
  const { log, settings } = context
  const sent = context.now()
  const timeoutMs = renewalTimeoutMs(token.leftMs(sent), settings.vault_timeout)
  const body = { increment: `${Math.round(token.firstMs / 1000)}s` }
  const path = 'auth/token/renew-self'
  try {
    const request = { operation: 'token_renew', method: 'PUT', path, token: token.secret, body, timeoutMs } as const
    const { auth } = await context.ask(RenewSelfAnswer, request)
    const grantedMs = auth.lease_duration * 1000
    token.extend(sent, grantedMs)
    token.renewable = auth.renewable
    const seconds = Math.round(grantedMs / 1000)
    if (grantedMs === 0 || !isShortGrant(token.firstMs, grantedMs)) {
      log.debug('token_renewed', `token renewed for ${seconds} s`)
      return { kind: 'renewed' }
    }
    const short = `the token was renewed for ${seconds} s instead of ${Math.round(token.firstMs / 1000)} s: its maximum is near`
    log.info('token_short_grant', token.own ? `${short}; logging in anew` : short)
    return { kind: 'short' }
  } catch (error) {
    const failure = asFailure(error)
    if (failure.class === 'transient') return { kind: 'failed', retryAfterMs: failure.retryAfterMs }
    log.warning('token_warning', `the token cannot be renewed: ${failure.message}`, { code: failure.code })
    return { kind: failure.code === 'vault_denied' && saysInvalidToken(failure.detail) ? 'invalid' : 'refused' }
  }
}

/** PUT auth/token/revoke-self. Batch tokens cannot be revoked, and one past its end need not be. */
export async function revokeToken(context: VaultContext, token: Token, timeoutMs: number): Promise<void> {
  if (token.batch || token.leftMs(context.now()) <= 0) return
  const path = 'auth/token/revoke-self'
  try {
    await context.send({ operation: 'token_revoke', method: 'PUT', path, token: token.secret, body: {}, timeoutMs })
    context.log.info('token_revoked', 'revoked a token of ours')
  } catch (error) {
    const failure = asFailure(error)
    context.log.warning('token_warning', `a token of ours could not be revoked: ${failure.message}`, { code: failure.code })
  }
}
