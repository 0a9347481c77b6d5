// As much of a browser as the status page's script needs. Whatever would turn text into HTML does not exist here.
import assert from 'node:assert/strict'
import { STATUS_PAGE } from '../../src/http/status_page.ts'
import { STATUS_SCRIPT } from '../../src/http/status_script.ts'

type Child = PageNode | string

class PageNode {
  readonly tag: string
  readonly style: Record<string, string> = {}
  readonly attributes = new Map<string, string>()
  className = ''
  hidden = false
  checked = false
  title = ''
  data = ''
  scrollHeight = 0
  scrollTop = 0
  clientHeight = 0
  parent: PageNode | undefined
  nodes: PageNode[] = []
  readonly listeners = new Map<string, () => void>()

  constructor(tag: string) {
    this.tag = tag
    // a script that sets an unknown property, innerHTML above all, gets an error instead of an effect
    Object.preventExtensions(this)
  }

  get children(): PageNode[] {
    return this.nodes.filter((node) => node.tag !== '#text')
  }

  get textContent(): string {
    return this.tag === '#text' ? this.data : this.nodes.map((node) => node.textContent).join('')
  }

  set textContent(text: string) {
    this.replaceChildren(...(text === '' ? [] : [text]))
  }

  append(...children: Child[]): void {
    for (const child of children) this.insertBefore(typeof child === 'string' ? textNode(child) : child, null)
  }

  insertBefore(node: PageNode, before: PageNode | null): void {
    node.remove()
    node.parent = this
    this.nodes.splice(before === null ? this.nodes.length : this.nodes.indexOf(before), 0, node)
  }

  replaceChildren(...children: Child[]): void {
    for (const node of [...this.nodes]) node.remove()
    this.append(...children)
  }

  remove(): void {
    if (this.parent) this.parent.nodes = this.parent.nodes.filter((node) => node !== this)
    this.parent = undefined
  }

  setAttribute(name: string, value: string): void {
    assert.ok(name !== 'style' && !name.startsWith('on'), `the policy blocks the attribute ${name}`)
    this.attributes.set(name, value)
  }

  addEventListener(type: string, listener: () => void): void {
    this.listeners.set(type, listener)
  }

  /** Every element below with this class. */
  all(className: string): PageNode[] {
    return this.nodes.flatMap((node) => [...(node.className.split(' ').includes(className) ? [node] : []), ...node.all(className)])
  }
}

function textNode(text: string): PageNode {
  const node = new PageNode('#text')
  node.data = text
  return node
}

/** The page with its script running; time and the network are the test's. */
export class Page {
  readonly byId = new Map<string, PageNode>()
  readonly document = {
    title: '',
    getElementById: (id: string) => this.byId.get(id) ?? null,
    createElement: (tag: string) => new PageNode(tag),
    createElementNS: (_namespace: string, tag: string) => new PageNode(tag),
    createTextNode: textNode,
  }
  nowMs = 0
  /** What the script asked for. */
  readonly requests: { url: string; headers: Record<string, string> }[] = []
  readonly pauses: { ms: number; done: () => void }[] = []
  #second = () => {}
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined
  #asked = Promise.withResolvers<void>()

  constructor() {
    for (const [, id] of STATUS_PAGE.matchAll(/ id="([\w-]+)"/g)) this.byId.set(id!, new PageNode('div'))
    const names = ['document', 'fetch', 'performance', 'setTimeout', 'setInterval']
    const run = new Function(...names, STATUS_SCRIPT)
    const setTimeout = (done: () => void, ms: number) => void this.pauses.push({ ms, done })
    const setInterval = (task: () => void) => {
      this.#second = task
    }
    run(this.document, this.#fetch, { now: () => this.nowMs }, setTimeout, setInterval)
  }

  readonly #fetch = (url: string, options: { headers: Record<string, string>; signal: AbortSignal }): Promise<Response> => {
    this.requests.push({ url, headers: options.headers })
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#stream = controller
        options.signal.addEventListener('abort', () => controller.error(new Error('given up')))
      },
    })
    this.#asked.resolve()
    this.#asked = Promise.withResolvers<void>()
    return Promise.resolve(new Response(body))
  }

  /** Resolves at the next request of the script. */
  asked(): Promise<void> {
    return this.#asked.promise
  }

  node(id: string): PageNode {
    const node = this.byId.get(id)
    assert.ok(node, id)
    return node
  }

  text(id: string): string {
    return this.node(id).textContent
  }

  /** Bytes of the stream, in as many pieces as given. */
  async send(...pieces: (string | Uint8Array)[]): Promise<void> {
    for (const piece of pieces) {
      this.#stream!.enqueue(typeof piece === 'string' ? new TextEncoder().encode(piece) : piece)
      await turn()
    }
  }

  event(name: string, data: unknown): Promise<void> {
    return this.send(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  async end(): Promise<void> {
    this.#stream!.close()
    await turn()
  }

  /** Time passes, and the page's own second runs once per second. */
  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1000
      this.#second()
    }
    await turn()
  }
}

/** Lets the script's promises settle. */
async function turn(): Promise<void> {
  for (let count = 0; count < 3; count++) await new Promise((resolve) => setImmediate(resolve))
}
