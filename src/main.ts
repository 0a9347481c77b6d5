// The program: hands the command line to its commands.
import process from 'node:process'
import { serve } from './app.ts'
import { checkOnline } from './app_online.ts'
import { EXIT } from './cli/exit.ts'
import { processIo } from './cli/io.ts'
import { runCommandLine } from './cli/program.ts'
import { currentVersion } from './cli/version.ts'

process.exitCode = await runCommandLine(process.argv.slice(2), processIo, {
  // what a server or client still holds open must not keep the process
  serve: async (loaded) => process.exit(EXIT[await serve(loaded, currentVersion())]),
  checkOnline,
})
