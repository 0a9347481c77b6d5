// Cancel requests that are under way: while there is one, its link serves nobody else.
export class CancelHolds<L> {
  readonly #running = new Map<L, number>()

  has(link: L): boolean {
    return this.#running.size > 0 && (this.#running.get(link) ?? 0) > 0
  }

  begin(link: L): void {
    this.#running.set(link, (this.#running.get(link) ?? 0) + 1)
  }

  end(link: L): void {
    const left = (this.#running.get(link) ?? 1) - 1
    if (left > 0) this.#running.set(link, left)
    else this.#running.delete(link)
  }

  forget(link: L): void {
    this.#running.delete(link)
  }
}
