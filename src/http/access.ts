// Who may ask on the admin listener: tools that say so, and the status page itself. Never another site in a browser.

/** Browsers send it across origins only after a preflight, which nothing here grants; nor does a forged URL carry it. */
export const REQUEST_HEADER = 'X-Pglease-Request'

/** An IP address or localhost: a name that somebody else's DNS answers can't be one of these. */
const LITERAL_HOST = /^(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

export interface AccessRules {
  /** Also names in the Host header, for a listener that is not on loopback. */
  readonly anyHost: boolean
}

function hostOf(request: Request): string {
  return (request.headers.get('host') ?? new URL(request.url).host).toLowerCase()
}

function isSameOrigin(origin: string, host: string): boolean {
  // https: a proxy in front may add TLS
  return origin.toLowerCase().replace(/^https?:\/\//, '') === host
}

/** Why `request` is refused, for a person; undefined = it may pass. Everything but the page needs the header. */
export function accessRefusal(request: Request, rules: AccessRules, isPage: boolean): string | undefined {
  const host = hostOf(request)
  if (!rules.anyHost && !LITERAL_HOST.test(host)) {
    return 'the Host header is a name that may point anywhere: ask by IP address or localhost'
  }
  const origin = request.headers.get('origin')
  if (origin !== null && !isSameOrigin(origin, host)) return 'the Origin header names another site'
  if (isPage) return undefined
  if (request.headers.get('sec-fetch-site') === 'cross-site') return 'a browser asks for another site'
  if (request.headers.get(REQUEST_HEADER) !== 'true') return `the header \`${REQUEST_HEADER}: true\` is missing`
  return undefined
}

/** Whether a browser sent it, be it for our own page: what ends pglease is for tools alone. */
export function isFromBrowser(request: Request): boolean {
  return request.headers.has('origin') || request.headers.has('sec-fetch-site')
}
