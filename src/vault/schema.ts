// The shapes of Vault's answers that pglease relies on. Issues name the path of a value, never the value.
import * as v from 'valibot'
import { VaultFailure } from './failure.ts'

const seconds = v.pipe(v.number(), v.finite(), v.minValue(0))
const text = v.pipe(v.string(), v.nonEmpty(), v.maxLength(4096))
/** A header value and a path: nothing that could end either. */
const printable = v.pipe(text, v.regex(/^[\x21-\x7e]+$/))
const noNull = v.pipe(
  text,
  v.check((value) => !value.includes('\0')),
)

const auth = v.object({
  client_token: printable,
  lease_duration: seconds,
  renewable: v.boolean(),
  token_type: v.optional(v.string(), 'service'),
  num_uses: v.optional(v.number(), 0),
})

/** POST auth/<mount>/login. */
export const LoginAnswer = v.object({ auth })
export type LoginAnswer = v.InferOutput<typeof LoginAnswer>

/** PUT auth/token/renew-self. */
export const RenewSelfAnswer = v.object({ auth: v.object({ lease_duration: seconds, renewable: v.boolean() }) })

/** GET auth/token/lookup-self. */
export const LookupSelfAnswer = v.object({
  data: v.object({
    ttl: seconds,
    expire_time: v.optional(v.nullable(v.string()), null),
    explicit_max_ttl: v.optional(seconds, 0),
    num_uses: v.optional(v.number(), 0),
    renewable: v.optional(v.boolean(), false),
    type: v.optional(v.string(), 'service'),
  }),
})

/** GET <mount>/creds/<role>. */
export const CredentialAnswer = v.object({
  lease_id: printable,
  lease_duration: seconds,
  renewable: v.boolean(),
  data: v.object({ username: noNull, password: noNull }),
})

/** PUT sys/leases/renew. */
export const RenewLeaseAnswer = v.object({ lease_duration: seconds, renewable: v.optional(v.boolean(), true) })

/** `answer` in the shape of `schema`. Throws vault_bad_answer that names the first path that does not fit. */
export function parseAnswer<Output>(schema: v.GenericSchema<unknown, Output>, answer: unknown, path: string): Output {
  const result = v.safeParse(schema, answer, { abortEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  const where = v.getDotPath(issue) ?? 'the answer'
  throw new VaultFailure('vault_bad_answer', `${path}: ${where} is missing or not as expected`, { status: 200, lost: true })
}

/** The lease id in an answer of any shape, so that what cannot be used can still be revoked. */
export function leaseIdOf(answer: unknown): string | undefined {
  const result = v.safeParse(v.object({ lease_id: printable }), answer)
  return result.success ? result.output.lease_id : undefined
}
