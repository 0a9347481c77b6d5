// A session's last words: its client is told, the log says why.
import type { PgleaseError } from '../errors.ts'
import type { SessionParts } from './session_parts.ts'
import { detailBeside, failureReply } from './session_replies.ts'

/** FATAL with the error's SQLSTATE; the caller closes the connection. */
export function tellFailure({ meter, transport, logErrors, log, database, id }: SessionParts, error: PgleaseError): void {
  meter.clientError(error.code)
  transport.write(failureReply(error))
  if (!logErrors) return
  const detail = detailBeside(error)
  const message = `${error.message}${detail === '' ? '' : ` (${detail})`}`
  log.info('pooler_error', message, { database, client: id, code: error.code })
}
