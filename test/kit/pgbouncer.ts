// A real pgbouncer beside pglease: what it tells clients is what they expect of pglease.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findTool, installCommand } from '../../scripts/lib/tools.ts'
import { Child, freePort, poll } from './child.ts'
import type { FixedDatabase } from './fixed-database.ts'
import { unprivileged } from './postgres-binaries.ts'
import { rawConnect } from './raw-client.ts'
import type { Scenario } from './scenario.ts'

/** Why there is no pgbouncer to compare with; undefined when there is one. */
export function noPgbouncer(): string | undefined {
  return findTool('pgbouncer') ? undefined : `pgbouncer is missing: ${installCommand('pgbouncer')}`
}

/** Starts one before the server of `app`, with the same database and user; `settings` are lines of its [pgbouncer] section. Answers its port. */
export async function startPgbouncer(run: Scenario, app: FixedDatabase, settings: Record<string, string | number>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'pgbouncer-'))
  run.defer(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const { host, port: serverPort } = app.postgres
  const lines = [
    '[databases]',
    `app = host=${host} port=${serverPort} dbname=${app.name} user=${app.user} password=${app.password}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'server_tls_sslmode = disable',
    ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
  ]
  const file = join(folder, 'pgbouncer.ini')
  writeFileSync(file, `${lines.join('\n')}\n`)
  // it refuses to run as root
  unprivileged().own(folder)
  const child = new Child([findTool('pgbouncer') ?? 'pgbouncer', file], { name: 'pgbouncer', cwd: folder }, unprivileged().wrapper)
  run.showOnFailure('pgbouncer', () => child.tail())
  run.defer(() => child.stop('SIGTERM', 2_000))
  await poll('pgbouncer listens', async () => {
    const client = await rawConnect({ port }).catch(() => undefined)
    client?.socket.destroy()
    return client !== undefined || undefined
  })
  return port
}
