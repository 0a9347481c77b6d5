// The one request to a server that pg-protocol cannot encode: a CancelRequest with a key of any length.
import { CANCEL_REQUEST_CODE } from './codes.ts'

/** CancelRequest; `key` has 4 bytes under protocol 3.0, up to 256 under 3.2. `processId` as BackendKeyData gave it. */
export function cancelRequest(processId: number, key: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(12 + key.length)
  whole.writeUInt32BE(whole.length, 0)
  whole.writeUInt32BE(CANCEL_REQUEST_CODE, 4)
  whole.writeUInt32BE(processId >>> 0, 8)
  key.copy(whole, 12)
  return whole
}
