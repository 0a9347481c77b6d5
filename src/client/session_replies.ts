// What pglease itself tells a client within its session: that it waits, that its link was lost, that the session is over.
import { ERRORS, errorText, type PgleaseError } from '../errors.ts'
import { errorResponse, noticeResponse, type ReplyFields, readyForQuery } from '../wire/reply.ts'

/** `cause`: why there is no link, '' when it is only that others have them. */
export const waitingNotice = (cause: string): Buffer =>
  noticeResponse({
    severity: 'NOTICE',
    sqlstate: '00000',
    message: 'No server connection available in postgres backend, client being queued',
    ...(cause === '' ? {} : { detail: cause }),
  })

/** Session mode: before the error that ends a session because its link's credential is replaced. */
export const recyclingNotice = (): Buffer =>
  noticeResponse({
    severity: 'NOTICE',
    sqlstate: '00000',
    message: 'the credential of this server connection is being replaced: connect again',
  })

/** Of a lost link: the server's last word where it had one. */
function lostLinkError(severity: 'ERROR' | 'FATAL', lastWord: ReplyFields | undefined): Buffer {
  return errorResponse({
    severity,
    sqlstate: lastWord?.sqlstate ?? ERRORS.server_lost.sqlstate,
    message: lastWord?.message ?? errorText('server_lost'),
    ...(lastWord?.detail ? { detail: lastWord.detail } : {}),
  })
}

/** To a client that cannot go on without the link that it lost. */
export const lostLinkFatal = (lastWord: ReplyFields | undefined): Buffer => lostLinkError('FATAL', lastWord)

/** To a client that goes on with another link: the end of each request that the lost one owed. */
export function lostLinkReplies(lastWord: ReplyFields | undefined, unanswered: number): Buffer {
  const reply = Buffer.concat([lostLinkError('ERROR', lastWord), readyForQuery('I')])
  return Buffer.concat(new Array<Buffer>(unanswered).fill(reply))
}

/** The end of a request that was cancelled before a server had it. */
export const canceledReply = (): Buffer =>
  Buffer.concat([
    errorResponse({ severity: 'ERROR', sqlstate: ERRORS.query_canceled.sqlstate, message: errorText('query_canceled') }),
    readyForQuery('I'),
  ])

/** What the error's message does not say already. */
export const detailBeside = (error: PgleaseError): string => (ERRORS[error.code].text.includes('%s') ? '' : error.detail)

export function failureReply(error: PgleaseError): Buffer {
  const { sqlstate, message, hint } = error
  return errorResponse({ severity: 'FATAL', sqlstate, message, detail: detailBeside(error), hint })
}
