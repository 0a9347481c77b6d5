// Holds values that must never be printed; only reveal() shows them.

const REDACTED = '[redacted]'
const hidden = new WeakMap<Secret, string>()

/** A password, token or key. Strings, JSON and inspection show `[redacted]`. */
export class Secret {
  constructor(value: string) {
    hidden.set(this, value)
  }

  /** The value itself. Every call is a place to review. */
  reveal(): string {
    return hidden.get(this) ?? ''
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED
  }

  [Symbol.for('Deno.customInspect')](): string {
    return REDACTED
  }
}
