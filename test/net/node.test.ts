// The contract suite on node:net and node:tls, on whichever runtime this is.
import { bunRuntime } from '../../src/net/bun_types.ts'
import { nodeNetwork } from '../../src/net/node.ts'
import { streamContract } from './contract.ts'
import { connectContract } from './contract_connect.ts'
import { tlsContract } from './contract_tls.ts'

streamContract(nodeNetwork())
connectContract(nodeNetwork())
tlsContract(nodeNetwork(), bunRuntime === undefined)
