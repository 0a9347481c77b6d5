// Headers of every answer, and answers that both listeners give.
import type { Context, Hono } from 'hono'

/** Answers here are data for tools: no browser may run, frame, sniff or keep any of it. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
}

/** Adds what an answer does not say for itself, and leaves errors to who listens: hono's own handler would print them. */
export function harden(app: Hono): void {
  app.onError((error) => {
    throw error
  })
  app.use(async (context, next) => {
    await next()
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!context.res.headers.has(name)) context.res.headers.set(name, value)
    }
  })
}

/** For `app.all` behind the methods that a path has. */
export function methodNotAllowed(allow: string): (context: Context) => Response {
  return (context) => context.text(`${context.req.method} is not allowed here: ${allow}\n`, 405, { Allow: allow })
}

/** A 404 that helps: what can be asked. */
export function notFound(app: Hono, places: readonly string[]): void {
  app.notFound((context) => context.text(`nothing is here; there is:\n${places.map((place) => `  ${place}\n`).join('')}`, 404))
}
