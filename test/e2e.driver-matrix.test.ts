// Every driver of the matrix in transaction mode on the newest PostgreSQL. docs/drivers.md has what the whole matrix gave.
import assert from 'node:assert/strict'
import { DRIVERS, missingFor, prepareDrivers, runDriver } from './kit/drivers.ts'
import { fixedDatabase } from './kit/fixed-database.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'

await prepareDrivers()

for (const driver of DRIVERS) {
  scenario(`${driver.name} in transaction mode`, async (run) => {
    const missing = missingFor(driver)
    if (missing && skip(missing)) return
    const app = await fixedDatabase(run, { facts: { pool_size: 3 } })
    const to = { host: '127.0.0.1', port: app.pglease.port, database: 'app', user: 'me', password: 'any' }
    const { cases, code, output } = await runDriver(driver, to, 'transaction')
    assert.ok(cases.length > 5, output)
    assert.deepEqual(
      cases.filter(({ ok }) => !ok),
      [],
      output,
    )
    assert.equal(code, 0)
  })
}
