// The program: hands the command line to its commands.
import process from 'node:process'
import { serve } from './app.ts'
import { processIo } from './cli/io.ts'
import { runCommandLine } from './cli/program.ts'

process.exitCode = await runCommandLine(process.argv.slice(2), processIo, { serve, checkOnline: async () => ({ steps: [] }) })
