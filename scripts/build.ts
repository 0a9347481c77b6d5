// Compiles pglease into one executable file, dist/pglease.
import { buildBinary } from './lib/binary.ts'

const target = process.argv[2]
console.log(await buildBinary(target ? { target } : {}))
