// The program: hands the command line to its commands.
import process from 'node:process'
import { serve } from './app.ts'
import { checkOnline } from './app_online.ts'
import { EXIT } from './cli/exit.ts'
import { endProcess, processIo } from './cli/io.ts'
import { runCommandLine } from './cli/program.ts'
import { currentVersion } from './cli/version.ts'
import type { LoadedSettings } from './settings/settings.ts'

/** Ends the process itself: what a server, a client or a timer still holds open must not keep it. */
async function serveToTheEnd(loaded: LoadedSettings): Promise<never> {
  try {
    process.exit(EXIT[await serve(loaded, currentVersion())])
  } catch (error) {
    processIo.writeError(`pglease: internal error: ${error instanceof Error ? error.message : 'unknown'}\n`)
    process.exit(EXIT.internal)
  }
}

endProcess(await runCommandLine(process.argv.slice(2), processIo, { serve: serveToTheEnd, checkOnline }))
