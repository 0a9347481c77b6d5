// Asks a server to cancel what one of its sessions runs, over a connection of its own.
import type { Clock } from '../clock.ts'
import { PgleaseError } from '../errors.ts'
import { addressText } from '../net/address.ts'
import type { Network } from '../net/transport.ts'
import { cancelRequest } from '../wire/request.ts'
import { type DialTarget, dial } from './dial.ts'

interface CancelOptions {
  /** For the connection and the server's answer together; 0 = no limit. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** Asked once the connection stands: false = there is nothing to cancel any more, and nothing is sent. */
  readonly wanted?: () => boolean
}

/**
 * Sends a CancelRequest and resolves when the server has closed that connection: from then on the signal was delivered, and
 * cannot hit a later query. PostgreSQL never says whether the key was right. Rejects with a PgleaseError of dial, or
 * connect_timeout when the server does not close in time.
 */
export async function cancelQuery(
  network: Network,
  target: DialTarget,
  processId: number,
  key: Buffer,
  options: CancelOptions,
): Promise<void> {
  const { clock, timeoutMs, signal } = options
  const startedMs = clock.monotonicMs()
  const transport = await dial(network, target, timeoutMs, clock, signal)
  if (options.wanted?.() === false) return transport.destroy()
  const leftMs = Math.max(0, timeoutMs - (clock.monotonicMs() - startedMs))
  await new Promise<void>((resolve, reject) => {
    const finish = (settle: () => void) => {
      timer?.cancel()
      signal?.removeEventListener('abort', abort)
      settle()
    }
    const giveUp = (detail: string) =>
      finish(() => {
        reject(new PgleaseError('connect_timeout', `${addressText(target.address)}: ${detail}`))
        transport.destroy()
      })
    const abort = () => giveUp('the cancel request was given up')
    const late = () => giveUp(`no answer to a cancel request within ${timeoutMs} ms`)
    const timer = timeoutMs > 0 ? clock.after(leftMs, late) : undefined
    signal?.addEventListener('abort', abort, { once: true })
    transport.setHandler({
      data() {},
      drain() {},
      // both are the server's end of it; `end` comes first, and a half-open connection needs our side closed too
      end: () => {
        transport.end()
        finish(resolve)
      },
      close: () => finish(resolve),
    })
    transport.write(cancelRequest(processId, key))
  })
}
