// What every part of the stand-in Vault speaks: refusals, envelopes, durations and identifiers in Vault's own forms.
import { randomBytes, randomUUID } from 'node:crypto'

/** Vault's own defaults, 768 hours: for whatever has no duration of its own. */
const SYSTEM_TTL_SECONDS = 2_764_800

/** A request that Vault answers with an error. */
export class Refusal extends Error {
  readonly status: number
  readonly errors: readonly string[]
  constructor(status: number, ...errors: string[]) {
    super(errors.join('; '))
    this.status = status
    this.errors = errors
  }
}

/** Several errors as Vault's Go code joins them into one text. */
export function joined(...texts: string[]): string {
  const count = `${texts.length} error${texts.length === 1 ? '' : 's'} occurred:`
  return `${count}\n${texts.map((text) => `\t* ${text}\n`).join('')}\n`
}

export const invalidToken = () => new Refusal(403, joined('permission denied', 'invalid token'))
export const permissionDenied = () => new Refusal(403, joined('permission denied'))
export const unsupported = () => new Refusal(405, joined('unsupported operation'))
export const noHandler = (path: string) => new Refusal(404, `no handler for route "${path}". route entry not found.`)

export type Json = Record<string, unknown>

export interface Granted {
  status: number
  /** Undefined = an empty body. */
  body?: Json
}

export const nothing: Granted = { status: 204 }

/** Vault's frame around an answer. */
export function envelope(mountType: string, parts: Json): Granted {
  const frame = { request_id: randomUUID(), lease_id: '', renewable: false, lease_duration: 0, data: null, wrap_info: null }
  return { status: 200, body: { ...frame, warnings: null, auth: null, mount_type: mountType, ...parts } }
}

/** The answer to a LIST; Vault says 404 where there is nothing. */
export function listing(mountType: string, keys: readonly string[]): Granted {
  if (keys.length === 0) throw new Refusal(404)
  return envelope(mountType, { data: { keys: [...keys].sort() } })
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Seconds from `20`, `"20"`, `"20s"` or `"1h30m"`; 0 when nothing was given. */
export function seconds(value: unknown): number {
  if (value === undefined || value === null || value === '') return 0
  if (typeof value === 'number') return Math.floor(value)
  const text = String(value)
  if (/^\d+$/.test(text)) return Number(text)
  const parts = [...text.matchAll(/(\d+)([smhd])/g)]
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text)
    throw new Refusal(400, `invalid duration ${JSON.stringify(text)}`)
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0), 0)
}

/** A list from an array or from a text with commas. */
export function strings(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String)
  return typeof value === 'string' && value !== '' ? value.split(',').map((text) => text.trim()) : []
}

/** `5s`, `1m`, `768h`: a duration as Vault's warnings print it. */
export function durationText(total: number): string {
  const [hours, minutes, left] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60]
  return [hours && `${hours}h`, minutes && `${minutes}m`, left && `${left}s`].filter(Boolean).join('') || '0s'
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

export function randomText(length: number): string {
  return [...randomBytes(length)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('')
}

/** A password after Vault's default rule: 20 characters of four kinds. */
export function randomPassword(): string {
  for (;;) {
    const text = [...randomText(20)].map((character, index) => (index === 10 ? '-' : character)).join('')
    if (/[a-z]/.test(text) && /[A-Z]/.test(text) && /\d/.test(text)) return text
  }
}

interface TtlRequest {
  /** What the client asked for; 0 = nothing. */
  increment?: number
  /** Of the role; 0 = the system's. */
  ttl: number
  maxTtl: number
  period?: number
  explicitMaxTtl?: number
  issuedMs: number
}

/** The seconds that Vault grants, and its warnings when that is less than asked. All times count in whole seconds, as in Vault. */
export function grantedTtl(request: TtlRequest): { ttl: number; warnings: string[] } {
  const { increment = 0, period = 0, explicitMaxTtl = 0 } = request
  const passed = Math.floor(Date.now() / 1000) - Math.floor(request.issuedMs / 1000)
  const max = Math.min(...[SYSTEM_TTL_SECONDS, request.maxTtl, explicitMaxTtl].filter((each) => each > 0))
  const warnings: string[] = []
  let ttl = increment || request.ttl || SYSTEM_TTL_SECONDS
  if (period > 0) {
    ttl = Math.min(period, max)
    if (period > max) {
      const what = `period of "${durationText(period)}" exceeded the effective max_ttl of "${durationText(max)}"`
      warnings.push(`${what}; period value is capped accordingly`)
    }
    if (explicitMaxTtl === 0) return { ttl, warnings }
  }
  const left = (period > 0 ? explicitMaxTtl : max) - passed
  if (left <= 0) throw new Refusal(400, 'past the max TTL, cannot renew')
  if (ttl <= left) return { ttl, warnings }
  const what = `TTL of "${durationText(ttl)}" exceeded the effective max_ttl of "${durationText(left)}"`
  return { ttl: left, warnings: [...warnings, `${what}; TTL value is capped accordingly`] }
}

export const orNull = <T>(list: readonly T[]): readonly T[] | null => (list.length > 0 ? list : null)

/** Whole seconds from now to `ms`, as Vault rounds them. */
export const secondsUntil = (ms: number): number => Math.max(0, Math.floor((ms - Date.now()) / 1000))
