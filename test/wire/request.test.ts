import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cancelRequest } from '../../src/wire/request.ts'

test('a cancel request has a key of any length', () => {
  assert.equal(cancelRequest(0x01020304, Buffer.from('abcd')).toString('hex'), '0000001004d2162e0102030461626364')
  const long = cancelRequest(0xffffffff, Buffer.alloc(256, 1))
  assert.deepEqual([long.length, long.readUInt32BE(0), long.readUInt32BE(8)], [268, 268, 0xffffffff])
})
