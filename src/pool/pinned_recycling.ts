// In transaction mode, the sessions whose statements keep their link are ended at a rotation as those of session mode are.
import type { LinkLists } from './link_lists.ts'
import type { PoolLink } from './pool_link.ts'
import { Recycling, type RecyclingParts, type Reigns } from './recycling.ts'

/** See LinkStatements. */
export const isPinned = (link: PoolLink): boolean => link.statements?.pinned === true

export function pinnedRecycling<L extends PoolLink>(parts: RecyclingParts, lists: LinkLists<L>, logins: Reigns<L>): Recycling<L> {
  const pinned = {
    all: () => lists.all().filter(isPinned),
    state: (link: L) => lists.state(link),
    // those that nobody holds serve on
    idle: () => [],
  }
  const reigns = {
    get current() {
      return logins.current
    },
    generations: logins.generations,
    frees: (link: L) => logins.frees(link),
    // any other link comes back by itself
    get proofNeedsPlace() {
      return logins.proofNeedsPlace && lists.countAlive((link) => !isPinned(link) && logins.frees(link)) === 0
    },
  }
  return new Recycling<L>(parts, pinned, reigns, 'sessions with statements that were prepared in SQL')
}
