// A11: bad input of every kind on every port, thousands of times; and wrong settings of every kind at once.
import { value } from '../../test/kit/fixed-database.ts'
import { besieged, hostile, kindsOf } from '../../test/scenarios/hostile.ts'
import { runWithWrong, SECRET, unreported, WRONG_SETTINGS } from '../../test/scenarios/settings.ts'
import { type AcceptContext, type AcceptLine, atLeast, atMost, exactly, type Figure, holds, told } from './accept_line.ts'

/** One repetition is every kind on every port. */
const REPETITIONS = 4_000
const WINDOW = 1_000
const MEGABYTE = 1 << 20

async function wire({ scenario, seed, say }: AcceptContext): Promise<Figure[]> {
  const { app, doors } = await besieged(scenario)
  say(`${kindsOf(doors).size} kinds of bad input, ${REPETITIONS} times on ${doors.length} ports`)
  const { attacks, wrong, wrongCount, resident } = await hostile(app.pglease.pid, doors, REPETITIONS, seed)
  for (const one of wrong) say(`wrong: ${one}`)
  const least = (from: number) => Math.min(...resident.slice(from, from + WINDOW)) / MEGABYTE
  const [second, last] = [least(WINDOW), least(resident.length - WINDOW)]
  const serves = await value(await app.client(), 'SELECT 1').catch(() => undefined)
  return [
    atLeast('kinds of bad input', kindsOf(doors).size, 20),
    told('connections with bad input', attacks),
    exactly('wrong answers', wrongCount, 0),
    holds('the process lives and serves', app.pglease.child.ended === undefined && serves === 1),
    exactly('log lines of the event bug', app.pglease.logged('bug').length, 0),
    told('least resident memory of the second 1,000 repetitions', second, 'MB'),
    atMost('growth of it to the last 1,000', last - second, 5, 'MB'),
  ]
}

async function settings(): Promise<Figure[]> {
  const result = await runWithWrong([])
  const missing = unreported(result)
  return [
    atLeast('kinds of wrong settings', WRONG_SETTINGS.length, 10),
    exactly('of these not reported at once', missing.length, 0),
    exactly('exit status', result.code ?? String(result.signal), 78),
    holds('no secret is shown', !result.stderr.includes(SECRET)),
  ]
}

export const line: AcceptLine = {
  name: 'A11',
  title: 'Bad input on every port gets a clear answer, the process lives and does not grow; wrong settings are all reported at once.',
  run: async (context) => [...(await wire(context)), ...(await settings())],
}
