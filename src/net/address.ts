// Text forms of addresses and system errors that both networks share.
import { type Address, TransportError } from './transport.ts'

/** host:port with IPv6 in brackets; what is unknown is left out. */
export function hostPort(host: string | undefined, port: number | undefined): string {
  const name = host ?? ''
  return `${name.includes(':') ? `[${name}]` : name}:${port ?? ''}`
}

/** host:port, or `unix:` with the path. */
export function addressText(address: Address): string {
  return address.kind === 'unix' ? `unix:${address.path}` : hostPort(address.host, address.port)
}

/** The `code` of a system or TLS error, or ''. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : ''
}

/** `error` as a TransportError; `fallback` is its code where the system gave none. */
export function transportError(error: unknown, doing: string, fallback: string): TransportError {
  if (error instanceof TransportError) return error
  const code = codeOf(error) || fallback
  const text = error instanceof Error ? error.message : String(error)
  return new TransportError(code, text.includes(code) ? `${doing}: ${text}` : `${doing}: ${code} ${text}`)
}
