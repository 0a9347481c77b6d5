// Finds the name that someone meant by a misspelt one.

/** Number of single-character edits between two short texts; swapping neighbours is one. */
function distance(left: string, right: string): number {
  const rows = Array.from({ length: left.length + 1 }, (_, index) => [index])
  for (let column = 1; column <= right.length; column++) rows[0]![column] = column
  for (let row = 1; row <= left.length; row++) {
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      let best = Math.min(rows[row - 1]![column]! + 1, rows[row]![column - 1]! + 1, rows[row - 1]![column - 1]! + (same ? 0 : 1))
      if (row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]) {
        best = Math.min(best, rows[row - 2]![column - 2]! + 1)
      }
      rows[row]![column] = best
    }
  }
  return rows[left.length]![right.length]!
}

const joined = (name: string) => name.replaceAll('_', '')

/** The known name nearest to `wrong`, if one is near enough to be what was meant. */
export function suggest(wrong: string, known: Iterable<string>): string | undefined {
  if (wrong.length > 64) return undefined
  const folded = wrong.toLowerCase().replaceAll('-', '_')
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(folded.length / 3)) + 1
  for (const name of known) {
    const words = name.toLowerCase()
    // A missing first word (`pool_size` for `default_pool_size`) is nearer than its letters suggest.
    const far = joined(words).endsWith(joined(folded)) && folded.length > 4 ? 1.5 : distance(folded, words)
    if (far < bestDistance) {
      best = name
      bestDistance = far
    }
  }
  return best
}

/** ` Did you mean x?` or nothing, to end a sentence with. */
export function didYouMean(wrong: string, known: Iterable<string>): string | undefined {
  const meant = suggest(wrong, known)
  return meant === undefined ? undefined : `Did you mean ${meant}?`
}
