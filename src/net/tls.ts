// What both networks must agree on about TLS: which verification failures matter, and names on the wire.
import { getCACertificates } from 'node:tls'
import { type TlsClientOptions, type TlsOptions, TransportError } from './transport.ts'

/** The peer's certificate is not for this host. The chain was checked before: any chain error is reported instead of it. */
const WRONG_HOST = 'ERR_TLS_CERT_ALTNAME_INVALID'

/** OpenSSL's verification results (openssl-verify(1)) as the runtimes spell them: about the certificate, not the handshake. */
const CERTIFICATE_CODES = new Set([
  WRONG_HOST,
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'HOSTNAME_MISMATCH',
])

/**
 * Whether we go on after a handshake that ended with `code` ('' = nothing to complain about), under `verify`.
 * A code that is not about the certificate is never accepted.
 */
export function acceptsPeer(verify: TlsClientOptions['verify'], code: string): boolean {
  if (code === '') return true
  if (verify === 'full') return false
  return verify === 'ca' ? code === WRONG_HOST : CERTIFICATE_CODES.has(code)
}

/** How strictly the peer's certificate is judged: a server that merely asks for one lives with any or none. */
export function strictness(options: TlsOptions): TlsClientOptions['verify'] {
  if (options.role === 'client') return options.client.verify
  return options.server.clientCertificate === 'require' ? 'full' : 'none'
}

/** Refuses options under which a runtime would verify less than was asked. */
export function checkClientOptions(options: TlsClientOptions): void {
  if (options.verify === 'full' && options.serverName === '') {
    throw new TransportError('ERR_TLS_NO_SERVER_NAME', 'TLS: there is no host name to verify the certificate against')
  }
}

/** Names in ALPN's wire format (RFC 7301 3.1), each after its length byte. */
export function alpnWire(names: readonly string[]): string {
  return names.map((name) => String.fromCharCode(name.length) + name).join('')
}

/** The authorities that the system trusts, in PEM. */
export const systemCertificates = (): string[] => getCACertificates('system')
