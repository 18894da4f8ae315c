import type { Principal } from '#identity/principal.ts'
import type { Actions, RunView } from './actions.ts'

const PAGE = 100

/** The runs of a person, each whole, newest first. */
export async function* exportRuns(actions: Pick<Actions, 'list' | 'get'>, person: Principal): AsyncGenerator<RunView> {
  for (let cursor: string | undefined; ; ) {
    const page = await actions.list(person, { limit: PAGE, whose: 'mine', ...(cursor !== undefined && { cursor }) })
    for (const run of page.items) yield run.resultLeftOut ? await actions.get(person, run.id) : run
    if (page.next === null) return
    cursor = page.next
  }
}
