// Where the demo shows itself: a view that is redrawn on a terminal, lines elsewhere.
import type { DemoState } from './demo_state.ts'
import { ansi, frame, plainEvent, plainStatus, VIEW_WIDTH } from './demo_view.ts'

const REDRAW_MS = 200
const STATUS_MS = 5_000

interface Screen {
  /** Ends the view; what follows is ordinary output. */
  end(): void
}

/** Redraws in the terminal's other screen, so that what was there before comes back. */
export function terminalScreen(state: DemoState, output: NodeJS.WriteStream): Screen {
  const draw = () => {
    const { columns = 80 } = output
    const lines = frame(state, { width: Math.min(columns, VIEW_WIDTH), hint: '   Ctrl-C ends it' })
    // between the two marks a terminal that knows them shows nothing half drawn
    output.write(`\x1b[?2026h\x1b[H${lines.map((line) => `${ansi(line, columns)}\x1b[K\n`).join('')}\x1b[J\x1b[?2026l`)
  }
  output.write('\x1b[?1049h\x1b[?25l')
  const leave = () => void output.write('\x1b[?25h\x1b[?1049l')
  process.once('exit', leave)
  draw()
  const timer = setInterval(draw, REDRAW_MS)
  return {
    end: () => {
      clearInterval(timer)
      process.off('exit', leave)
      leave()
      for (const line of frame(state)) output.write(`${ansi(line, output.columns ?? 80)}\n`)
    },
  }
}

/** A line for each event, and the state now and then. */
export function plainScreen(state: DemoState, output: NodeJS.WritableStream): Screen {
  state.onEvent = (event) => void output.write(`${plainEvent(event)}\n`)
  const timer = setInterval(() => output.write(`${plainStatus(state)}\n`), STATUS_MS)
  return { end: () => clearInterval(timer) }
}
