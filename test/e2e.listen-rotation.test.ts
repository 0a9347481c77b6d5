// LISTEN across rotations, short: the same scenario runs as line B3 of scripts/accept.
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault } from './kit/vault.ts'
import { contextFor } from './scenarios/context.ts'
import { type ListenOptions, listenFigures, runListen } from './scenarios/listen.ts'

const missing = await noVault()
const OPTIONS: ListenOptions = { listeners: 5, notifications: 200, rotations: 2, leaseSeconds: 5 }
const SEED = 3

scenario('every notification reaches every session that listens while the credential is replaced', async (s) => {
  if (missing && skip(missing)) return
  assertFigures(listenFigures(await runListen(await contextFor(s, SEED), OPTIONS), OPTIONS))
})
