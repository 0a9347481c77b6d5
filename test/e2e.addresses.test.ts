// A machine without IPv6, as many a container's node is: pglease listens on what there is.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fixedDatabase, value } from './kit/fixed-database.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'

/** Stands in front of the system's `socket`, as a kernel that was started with ipv6.disable=1 answers. */
const NO_IPV6 = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
int socket(int domain, int type, int protocol) {
  int (*real)(int, int, int) = dlsym(RTLD_NEXT, "socket");
  if (domain != AF_INET6) return real(domain, type, protocol);
  errno = EAFNOSUPPORT;
  return -1;
}
`

/** The library's path; undefined without a C compiler. */
function libraryWithoutIpv6(run: Scenario): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'no-ipv6-'))
  run.defer(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'no_ipv6.so')
  const made = spawnSync('cc', ['-shared', '-fPIC', '-x', 'c', '-o', file, '-', '-ldl'], { input: NO_IPV6 })
  return made.status === 0 ? file : undefined
}

scenario('without IPv6 the probes, the status page and the database’s port are on IPv4', async (run) => {
  const library = libraryWithoutIpv6(run)
  if (library === undefined) return void skip('a C compiler (cc) is needed')
  const settings = { http_addr: '*', listen_addr: undefined }
  const app = await fixedDatabase(run, { http: true, settings, env: { LD_PRELOAD: library } })
  assert.deepEqual(app.pglease.addresses('database'), [`127.0.0.1:${app.pglease.port}`])
  assert.deepEqual(app.pglease.addresses('http'), [`0.0.0.0:${app.pglease.httpPort}`])
  assert.equal((await app.pglease.http('/livez')).status, 200)
  assert.equal(await value(await app.client(), 'SELECT 1'), 1)
})

scenario('without IPv6 an address of it that was asked for is an error', async (run) => {
  const library = libraryWithoutIpv6(run)
  if (library === undefined) return void skip('a C compiler (cc) is needed')
  const pglease = await run.pglease({
    config: { listen_addr: '::1', databases: { app: { host: '127.0.0.1', port: 1, user: 'u', password: 'p' } } },
    env: { LD_PRELOAD: library },
    noWait: true,
  })
  assert.equal((await pglease.exit).code, 69)
  assert.match(String(pglease.logged('stopped')[0]?.msg), /listen on \[::1\]:.*EAFNOSUPPORT.*listen_addr/)
})
