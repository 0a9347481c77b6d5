// PostgreSQL servers that attack who logs in to them: what they say, message by message.
import { createServer } from 'node:net'
import type { Scenario } from '../kit/scenario.ts'
import { authenticationMessage, OK, READY, SASL, ScramServer, wireMessage } from '../kit/scripted-server.ts'

/** What the server answers to the client's message number `turn` (the startup packet is 0); undefined = nothing. */
type Script = (turn: number, message: Buffer) => Buffer | undefined

/** Listens until the scenario ends and answers its port. Every connection starts the script anew. */
export async function hostileServer(run: Scenario, script: Script): Promise<number> {
  const server = createServer((socket) => {
    let turn = 0
    socket.on('error', () => undefined)
    socket.on('data', (message: Buffer) => {
      const answer = script(turn++, message)
      if (answer !== undefined) socket.write(answer)
    })
  })
  run.defer(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

const inTurn =
  (...answers: (Buffer | ((message: Buffer) => Buffer))[]): Script =>
  (turn, message) => {
    const answer = answers[turn]
    return typeof answer === 'function' ? answer(message) : answer
  }

const nonceOf = (message: Buffer): string => /r=([^,]+)$/.exec(message.toString('latin1'))?.[1] ?? ''
const SALT = Buffer.from('a salt of tests!').toString('base64')
/** A server's first SCRAM message that continues the client's nonce. */
const first =
  (rest: string, more = 'more') =>
  (message: Buffer): Buffer =>
    authenticationMessage(11, `r=${nonceOf(message)}${more},${rest}`)
const declared = (type: string, length: number): Buffer => {
  const bytes = Buffer.from(`${type}....`)
  bytes.writeUInt32BE(length, 1)
  return bytes
}

/** Servers that attack during the login. Nobody may be let through, hang or crash; `password` is the real one. */
export const LOGIN_ATTACKS = (password: string): Record<string, Script> => {
  const scram = new ScramServer(password)
  return {
    'CVE-2026-6665: a nonce without end': inTurn(SASL, first(`s=${SALT},i=4096`, 'x'.repeat(1_000_000))),
    'CVE-2026-6665: a salt without end': inTurn(SASL, first(`s=${Buffer.alloc(300_000).toString('base64')},i=4096`)),
    'CVE-2026-6669: iterations without end': inTurn(SASL, first(`s=${SALT},i=2147483647`)),
    'CVE-2026-42198: iterations beyond 100,000': inTurn(SASL, first(`s=${SALT},i=1000000`)),
    'CVE-2026-6664: a number that overflows': inTurn(SASL, first(`s=${SALT},i=99999999999999999999`)),
    'CVE-2026-19888: attributes that are missing': inTurn(SASL, () => authenticationMessage(11, 'r=')),
    'CVE-2026-19888: an empty message': inTurn(SASL, () => authenticationMessage(11)),
    'CVE-2026-19888: a final message without a signature': inTurn(SASL, scram.continue, () => authenticationMessage(12, 'x=')),
    'a signature that is wrong': inTurn(SASL, scram.continue, () => Buffer.concat([authenticationMessage(12, `v=${SALT}`), OK, READY])),
    'a nonce that is not the client’s': inTurn(SASL, () => authenticationMessage(11, `r=another,s=${SALT},i=4096`)),
    'AuthenticationOk before the server’s signature': inTurn(SASL, Buffer.concat([OK, READY])),
    'AuthenticationOk at once': inTurn(Buffer.concat([OK, READY])),
    'a question for the password in clear text': inTurn(authenticationMessage(3)),
    'a question for the md5 of the password': inTurn(authenticationMessage(5, 'salt')),
    'a method that nobody knows': inTurn(authenticationMessage(99)),
    'CVE-2026-6666: an error without SQLSTATE': inTurn(wireMessage('E', 'Mno\0\0')),
    'CVE-2026-6666: an error without fields': inTurn(wireMessage('E', '\0')),
    'CVE-2026-6666: an error without a body': inTurn(wireMessage('E')),
    'CVE-2026-6668: a message of 2^32-1 bytes': inTurn(declared('R', 2 ** 32 - 1)),
    'CVE-2026-6668: a message of 2^31 bytes': inTurn(Buffer.concat([declared('E', 2 ** 31), Buffer.alloc(100_000, 0x41)])),
    'a message of 3 bytes': inTurn(declared('R', 3)),
    noise: inTurn(Buffer.alloc(5_000, 0xa5)),
    'rows in place of a login': inTurn(wireMessage('D', Buffer.alloc(20))),
    'a request for a query’s end': inTurn(wireMessage('Z', 'I')),
  }
}

/** A login that succeeds, then `answers` to the queries that follow. */
export function afterLogin(password: string, ...answers: Buffer[]): Script {
  const scram = new ScramServer(password)
  return (turn, message) => {
    if (turn === 0) return SASL
    if (turn === 1) return scram.continue(message)
    if (turn === 2) return Buffer.concat([scram.final(message), OK, READY])
    return answers[turn - 3]
  }
}

/** Answers to the first query after the login with which a server breaks the protocol. */
export const QUERY_ATTACKS: Record<string, Buffer> = {
  'CVE-2026-6666: an error without SQLSTATE': Buffer.concat([wireMessage('E', 'Mno\0\0'), wireMessage('Z', 'I')]),
  'CVE-2026-6666: an error without fields': Buffer.concat([wireMessage('E', '\0'), wireMessage('Z', 'I')]),
  'CVE-2026-6668: a message of 2^32-1 bytes': declared('E', 2 ** 32 - 1),
  'a message of 3 bytes': declared('D', 3),
  'a ReadyForQuery too many': Buffer.concat([
    wireMessage('C', 'SELECT 0\0'),
    wireMessage('Z', 'I'),
    wireMessage('Z', 'I'),
    wireMessage('Z', 'I'),
  ]),
  'a ReadyForQuery of 1,000 bytes': wireMessage('Z', Buffer.alloc(1_000)),
  'answers to what nobody asked': Buffer.concat([wireMessage('1'), wireMessage('2'), wireMessage('3')]),
  'a parameter without an end': wireMessage('S', 'TimeZone'),
  'a login all over again': Buffer.concat([SASL, OK]),
  noise: Buffer.alloc(5_000, 0xa5),
}
