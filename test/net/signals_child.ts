// The process that signals.test.ts sends signals to: says what it got and ends at TERM.
import { onSignal, type SignalName } from '../../src/net/signals.ts'

const NAMES: readonly SignalName[] = ['INT', 'QUIT', 'HUP', 'USR1', 'USR2', 'TERM']
const kept = setInterval(() => {}, 60_000)

for (const name of NAMES) {
  const undo = onSignal(name, () => {
    console.log(`got ${name}`)
    if (name === 'TERM') clearInterval(kept)
    if (name === 'TERM') process.exit(0)
  })
  if (undo === undefined) console.log(`left ${name}`)
}
console.log('ready')
