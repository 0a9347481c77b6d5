// What session mode tells a client before it loses its server connection to a rotation.
import { noticeResponse } from '../wire/reply.ts'

/** Before the error that ends a session because its link's credential is replaced. */
export const recyclingNotice = (): Buffer =>
  noticeResponse({
    severity: 'NOTICE',
    sqlstate: '00000',
    message: 'the credential of this server connection is being replaced: connect again',
  })
