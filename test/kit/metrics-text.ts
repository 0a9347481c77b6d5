// Reads Prometheus' text format.

interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** The samples of one scrape. */
export class Metrics {
  readonly samples: readonly Sample[]
  readonly text: string

  constructor(text: string) {
    this.text = text
    this.samples = text.split('\n').flatMap((line) => {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line)
      if (!match) return []
      const [, name = '', labels = '', value = ''] = match
      return [{ name, labels: readLabels(labels), value: Number(value.replace('Inf', 'Infinity')) }]
    })
  }

  /** The samples of `name` that have all of `labels`. */
  find(name: string, labels: Record<string, string> = {}): Sample[] {
    const wanted = Object.entries(labels)
    return this.samples.filter((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value))
  }

  /** Their sum; 0 when there is none. */
  sum(name: string, labels: Record<string, string> = {}): number {
    return this.find(name, labels).reduce((total, sample) => total + sample.value, 0)
  }
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(/([a-zA-Z_]\w*)="((?:\\.|[^"\\])*)"/g)) {
    labels[name] = value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character))
  }
  return labels
}
