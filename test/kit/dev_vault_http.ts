// The HTTP side of the stand-in Vault: who asks, whether a policy allows it, and Vault's form of every answer.
import { type Context, Hono } from 'hono'
import { type Granted, invalidToken, type Json, joined, noHandler, permissionDenied, Refusal, unsupported } from './dev_vault_answer.ts'
import type { Core } from './dev_vault_core.ts'
import { type Call, guardedRoutes, type Operation, openRoutes, type Route } from './dev_vault_routes.ts'
import type { Token } from './dev_vault_tokens.ts'

const OPERATIONS: Readonly<Record<string, Operation>> = { GET: 'read', LIST: 'list', POST: 'update', PUT: 'update', DELETE: 'delete' }
const OPEN_WHILE_SEALED = /^sys\/(?:health|seal-status|unseal)$/

function operationOf(context: Context): Operation {
  const operation = OPERATIONS[context.req.method]
  if (!operation) throw unsupported()
  return operation === 'read' && context.req.query('list') === 'true' ? 'list' : operation
}

async function bodyOf(context: Context): Promise<Json> {
  const text = await context.req.text()
  if (text === '') return {}
  try {
    return JSON.parse(text) as Json
  } catch {
    throw new Refusal(400, 'error parsing JSON')
  }
}

function respond(context: Context, { status, body }: Granted): Response {
  return body === undefined ? context.body(null, status as 204) : context.json(body, status as 200)
}

/** /v1/sys/leases/... without /v1/ and the slash that LIST may end with. */
const pathOf = (context: Context) =>
  decodeURIComponent(context.req.path)
    .replace(/^\/v1\//, '')
    .replace(/\/$/, '')

function callOf(context: Context, token: Token, body: Json): Call {
  const param = (name: string) => context.req.param(name) ?? ''
  return { token, path: pathOf(context), body, param }
}

/** Whose request it is. Throws 403 for a token that is none. */
function tokenOf(core: Core, context: Context): Token {
  const given = context.req.header('x-vault-token') ?? context.req.header('authorization')?.replace(/^Bearer /i, '') ?? ''
  if (given === '') throw new Refusal(403, 'permission denied')
  const token = core.tokens.find(given)
  if (!token) throw invalidToken()
  return token
}

async function guarded(core: Core, context: Context, route: Route | undefined): Promise<Response> {
  const token = tokenOf(core, context)
  const last = core.tokens.used(token)
  try {
    const operation = operationOf(context)
    const path = pathOf(context)
    if (!core.policies.allow(token.policies, path, operation)) throw permissionDenied()
    if (!route) throw core.engine(path.split('/')[0] ?? '') ? new Refusal(404, joined('unsupported path')) : noHandler(path)
    const handler = route[1][operation]
    if (!handler) throw unsupported()
    return respond(context, await handler(callOf(context, token, await bodyOf(context))))
  } finally {
    if (last) core.tokens.end(token)
  }
}

async function open(core: Core, context: Context, [, operations]: Route): Promise<Response> {
  const handler = operations[operationOf(context)]
  if (!handler) throw unsupported()
  return respond(context, await handler(callOf(context, core.tokens.root, await bodyOf(context))))
}

/** The application for `core`; `unexpected` is told what is a mistake of the stand-in itself. */
export function vaultApplication(core: Core, unexpected: (error: Error) => void): Hono {
  const app = new Hono({ strict: false })
  app.use('*', async (context, next) => {
    if (core.sealed.closed && !OPEN_WHILE_SEALED.test(pathOf(context))) throw new Refusal(503, 'Vault is sealed')
    await next()
  })
  for (const route of openRoutes(core)) app.all(`/v1/${route[0]}`, (context) => open(core, context, route))
  for (const route of guardedRoutes(core)) app.all(`/v1/${route[0]}`, (context) => guarded(core, context, route))
  app.notFound((context) =>
    context.req.path.startsWith('/v1/') ? guarded(core, context, undefined) : context.text('404 page not found', 404),
  )
  app.onError((error, context) => {
    if (error instanceof Refusal) return context.json({ errors: error.errors }, error.status as 400)
    unexpected(error)
    return context.json({ errors: [joined(error.message)] }, 500)
  })
  return app
}
