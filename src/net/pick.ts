// Which network this process uses.
import { bunNetwork } from './bun.ts'
import { bunRuntime } from './bun_types.ts'
import { nodeNetwork } from './node.ts'
import type { Network } from './transport.ts'

/** Bun's native sockets where they exist, Node's modules elsewhere. */
export function pickNetwork(): Network {
  return bunRuntime === undefined ? nodeNetwork() : bunNetwork()
}
