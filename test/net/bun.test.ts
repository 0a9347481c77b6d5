// The contract suite on Bun's native sockets; on another runtime this file registers nothing.
import { bunNetwork } from '../../src/net/bun.ts'
import { bunRuntime } from '../../src/net/bun_types.ts'
import { streamContract } from './contract.ts'
import { connectContract } from './contract_connect.ts'
import { tlsContract } from './contract_tls.ts'

if (bunRuntime !== undefined) {
  streamContract(bunNetwork())
  connectContract(bunNetwork())
  tlsContract(bunNetwork(), true)
}
