// Acceptance line B4: cancel requests at random moments under load.
import { cancelledAtRandom } from '../../test/scenarios/cancels.ts'
import type { AcceptLine } from './accept_line.ts'

const CANCELS = 10_000

export const line: AcceptLine = {
  name: 'B4',
  title: '10,000 cancels at random moments under load: only intended queries end',
  run: (context) => cancelledAtRandom(context, { cancels: CANCELS }),
}
