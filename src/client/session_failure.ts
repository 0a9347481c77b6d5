// A session's last words: its client is told, the log says why.
import type { PgleaseError } from '../errors.ts'
import type { SessionParts } from './session_parts.ts'
import { detailBeside, failureReply } from './session_replies.ts'

/** FATAL with the error's SQLSTATE; the caller closes the connection. `midReply`: it would be taken for the rest of a row, so nothing is said. */
export function tellFailure(
  { meter, transport, logErrors, log, database, id }: SessionParts,
  error: PgleaseError,
  midReply: boolean,
): void {
  meter.clientError(error.code)
  if (!midReply) transport.write(failureReply(error))
  if (!logErrors) return
  const detail = detailBeside(error)
  const message = `${error.message}${detail === '' ? '' : ` (${detail})`}`
  log.info('pooler_error', message, { database, client: id, code: error.code })
}
