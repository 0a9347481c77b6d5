// A queue of whole numbers in one typed array: on the data path it allocates nothing once it has grown.

const SMALLEST = 4
const EMPTY = new Int32Array(0)

export class Ring {
  count = 0
  #values: Int32Array
  #mask: number
  #first = 0

  /** `capacity`: to begin with; 0 or a power of two. */
  constructor(capacity: number) {
    this.#values = capacity === 0 ? EMPTY : new Int32Array(capacity)
    this.#mask = capacity - 1
  }

  /** Of an empty ring it is any number. */
  get oldest(): number {
    return this.#values[this.#first] as number
  }

  push(value: number): void {
    if (this.count > this.#mask) this.#grow()
    this.#values[(this.#first + this.count) & this.#mask] = value
    this.count++
  }

  /** Removes the oldest; there is one. */
  shift(): void {
    this.#first = (this.#first + 1) & this.#mask
    this.count--
  }

  /** Removes all but the oldest, and answers them in order; there is one. */
  takeRest(): Int32Array {
    const rest = new Int32Array(this.count - 1)
    for (let index = 0; index < rest.length; index++) rest[index] = this.#values[(this.#first + 1 + index) & this.#mask] as number
    this.count = 1
    return rest
  }

  clear(): void {
    this.count = 0
  }

  #grow(): void {
    const larger = new Int32Array(Math.max(SMALLEST, this.#values.length * 2))
    for (let index = 0; index < this.count; index++) larger[index] = this.#values[(this.#first + index) & this.#mask] as number
    this.#values = larger
    this.#mask = larger.length - 1
    this.#first = 0
  }
}
