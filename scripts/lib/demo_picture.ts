// Turns a frame of the demo into an SVG, for the README.
import { type Colour, type Line, VIEW_WIDTH } from './demo_view.ts'

const CHARACTER_WIDTH = 8.43
const LINE_HEIGHT = 20
const MARGIN = 20

const COLOURS: Readonly<Record<Colour, string>> = {
  plain: '#d8dee9',
  dim: '#8a94a6',
  good: '#a3d977',
  bad: '#ff6b6b',
  accent: '#7dd3fc',
  role0: '#f2c94c',
  role1: '#d39df0',
  role2: '#7ee0a3',
  role3: '#8fb5ff',
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Each span has its own place: a font with other widths then moves nothing. */
function lineText(line: Line, index: number): string {
  let column = 0
  const spans = line.map((span) => {
    const x = (MARGIN + column * CHARACTER_WIDTH).toFixed(1)
    const width = (span.text.length * CHARACTER_WIDTH).toFixed(1)
    column += span.text.length
    if (span.text.trim() === '') return ''
    return `<tspan x="${x}" textLength="${width}" lengthAdjust="spacingAndGlyphs" fill="${COLOURS[span.colour]}">${escaped(span.text)}</tspan>`
  })
  const inner = spans.join('')
  return inner === '' ? '' : `<text xml:space="preserve" y="${MARGIN + (index + 1) * LINE_HEIGHT - 5}">${inner}</text>\n`
}

/** The picture of `lines`, whole, ending in a line end. */
export function picture(lines: readonly Line[]): string {
  const widest = Math.max(VIEW_WIDTH, ...lines.map((line) => line.reduce((sum, { text }) => sum + text.length, 0)))
  const width = Math.ceil(widest * CHARACTER_WIDTH + 2 * MARGIN)
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN
  const title = escaped(lines.map((line) => line.map(({ text }) => text).join('')).at(-1) ?? '')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>The demo: ${title}</title>
<rect width="100%" height="100%" rx="10" fill="#161b22"/>
<g font-family="ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14">
${lines.map(lineText).join('')}</g>
</svg>
`
}
