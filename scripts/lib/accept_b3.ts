// B3: notifications across rotations in transaction mode.
import { type ListenOptions, listenFigures, runListen } from '../../test/scenarios/listen.ts'
import type { AcceptLine } from './accept_line.ts'

/** Replaced after two thirds: every 6 s. */
const OPTIONS: ListenOptions = { listeners: 20, notifications: 1000, rotations: 5, leaseSeconds: 9 }

export const line: AcceptLine = {
  name: 'B3',
  title:
    '1,000 notifications sent over 5 rotations to 20 listening sessions in transaction mode: each arrives at least once at each; a session that unlistened gets none.',
  async run(context) {
    context.say(`${OPTIONS.rotations} rotations, one every ${(OPTIONS.leaseSeconds * 2) / 3} s`)
    return listenFigures(await runListen(context, OPTIONS), OPTIONS)
  },
}
