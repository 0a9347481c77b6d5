// Replaces known secrets in texts, in whatever form they turn up.

/** What holds a value that must not be printed: `Secret` of secret.ts. */
export interface Hidden {
  reveal(): string
}

const REDACTED = '[redacted]'
/** Shorter values would also hit ordinary words. */
const SHORTEST_REDACTED = 6
/** The oldest are forgotten beyond this, so that years of rotations do not slow a line down. */
const MOST_SECRETS = 1000

/** Every way in which `value` may turn up in a text. */
function formsOf(value: string): string[] {
  const forms = new Set<string>()
  // a key in PEM turns up line by line
  for (const part of [value, ...value.split(/\r?\n/)]) {
    const text = part.trim()
    if (text.length < SHORTEST_REDACTED || text.startsWith('-----')) continue
    // half of a surrogate pair cannot be encoded
    const url = encodeURIComponent(text.toWellFormed())
    for (const form of [text, url, url.replaceAll('%20', '+'), url.toLowerCase(), JSON.stringify(text).slice(1, -1)]) forms.add(form)
    for (const form of base64FormsOf(text)) forms.add(form)
  }
  return [...forms]
}

/** `text` in base64 wherever it starts in what was encoded; characters that also hold bits of neighbours are left out. */
function base64FormsOf(text: string): string[] {
  const bytes = Buffer.from(text)
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replaceAll('=', '')
    const wholeBits = (before + bytes.length) * 8
    const form = encoded.slice(Math.ceil((before * 8) / 6), Math.floor(wholeBits / 6))
    return form.length < SHORTEST_REDACTED ? [] : [form, form.replaceAll('+', '-').replaceAll('/', '_')]
  })
}

function longestFirst(forms: Iterable<readonly string[]>): readonly string[] {
  return [...new Set([...forms].flat())].sort((first, second) => second.length - first.length)
}

export class Redaction {
  /** One entry per registration, newest last. */
  readonly #forms = new Map<object, readonly string[]>()
  /** Of all secrets, longest first: one may contain another. Undefined = to be made. */
  #sorted: readonly string[] | undefined

  add(secret: Hidden): () => void {
    const key = {}
    this.#forms.set(key, formsOf(secret.reveal()))
    const [oldest] = this.#forms.keys()
    if (oldest && this.#forms.size > MOST_SECRETS) this.#forms.delete(oldest)
    this.#sorted = undefined
    return () => {
      if (this.#forms.delete(key)) this.#sorted = undefined
    }
  }

  apply(text: string): string {
    let clean = text
    this.#sorted ??= longestFirst(this.#forms.values())
    for (const form of this.#sorted) if (form.length <= clean.length && clean.includes(form)) clean = clean.replaceAll(form, REDACTED)
    return clean
  }
}
