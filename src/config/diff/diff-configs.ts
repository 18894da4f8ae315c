import type { Change, Compared, ConfigDiff, Section, Weakening } from '../diff.ts'
import { approvalWeakenings } from './approvals.ts'
import { changesOfEntry, keysOf } from './changes.ts'
import { own } from './json.ts'
import { limitWeakenings } from './limits.ts'
import { reachWeakenings } from './reach.ts'
import { createWordDiff } from './words.ts'

const NAMED = ['models', 'routes', 'specialists', 'actions', 'mcpServers', 'openapi'] as const satisfies Section[]

/** What distinguishes two sound documents, whatever they are written in, and what of it guards less. */
export function diffConfigs(from: Compared, to: Compared): ConfigDiff {
  const [before, after] = [from.document, to.document]
  const compareWords = createWordDiff()
  const ofWhole = (section: 'description' | 'rollout'): Change[] =>
    changesOfEntry(section, '', before[section], after[section], compareWords)
  const ofEntries = NAMED.flatMap((section) => {
    const [old, young] = [before[section] ?? {}, after[section] ?? {}]
    return keysOf(old, young).flatMap((name) =>
      changesOfEntry(section, name, own(old, name), own(young, name), compareWords),
    )
  })
  const changes = [...ofWhole('description'), ...ofEntries, ...ofWhole('rollout')]
  const weakenings = weakeningsOf(from, to)
  return { from: from.name, to: to.name, identical: changes.length === 0, changes, weakenings }
}

/** What guards less, alone: in milliseconds, where comparing texts may hold everything else up for a tenth of a second. */
export function weakeningsOf(from: Pick<Compared, 'document'>, to: Pick<Compared, 'document'>): Weakening[] {
  const [before, after] = [from.document, to.document]
  return [...approvalWeakenings(before, after), ...reachWeakenings(before, after), ...limitWeakenings(before, after)]
}
