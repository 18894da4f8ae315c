import { weakeningsOf } from '#config/diff/diff-configs.ts'
import type { Weakening } from '#config/diff.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { VersionEntry } from '#config/version-entry.ts'
import type { ConfigVersions } from '#config/versions.ts'
import type { Audit, AuditEntry } from '#governance/audit.ts'
import { partitionOf } from '#identity/principal.ts'

export interface AuditedVersionsOptions {
  note: Audit['note']
  /** The tenant that operates: nobody else pushes. */
  home: string
  /** Whether there is a database: none is opened for a push on a machine of one's own. What it lacks then, it gets once there is. */
  isAwake(): boolean
  /** What serves everyone, which a version may guard less than. */
  stable(): ConfigVersion
}

const LOOKED_BACK = 50
const MOST_CHARS = 500

/**
 * Versions whose pushes and approvals are in the audit log: by whom, of which bytes, and what they guard less than what serves. Each
 * has one id for good, so that it is there once, however often it is done or told again.
 */
export function auditedVersions(
  versions: ConfigVersions,
  { note, home, isAwake, stable }: AuditedVersionsOptions,
): ConfigVersions & { lookBack(): void } {
  const noteFor = (
    kind: AuditEntry['kind'],
    by: VersionEntry['uploadedBy'],
    { name, hash, size }: VersionEntry,
    more: Pick<AuditEntry, 'at'> & { weakenings?: readonly Weakening[] },
  ) => {
    if (!by) return
    const { at, weakenings } = more
    const details = { hash, size, ...(weakenings && weakeningDetails(weakenings)) }
    const actor = partitionOf({ tenant: home, id: by.id })
    note({ tenant: home, kind, actor, subject: name, details, id: `${kind} ${name}`, ...(at !== undefined && { at }) })
  }

  /** As it is when it is pushed or approved; undefined where the version cannot be compared. */
  const weakeningsNow = (name: string): { weakenings?: readonly Weakening[] } => {
    const version = versions.get(name)
    return version ? { weakenings: weakeningsOf(stable(), version) } : {}
  }

  let hasLookedBack = false
  /** What this replica or another did and did not live to note, or had no database for. */
  function lookBack(): void {
    if (hasLookedBack || !isAwake()) return
    hasLookedBack = true
    for (const entry of versions.list().slice(0, LOOKED_BACK)) {
      noteFor('version.pushed', entry.uploadedBy, entry, { at: entry.firstSeenAt })
      noteFor('version.approved', entry.approvedBy, entry, {})
    }
  }

  return {
    ...versions,
    lookBack,

    async push(...given) {
      const pushed = await versions.push(...given)
      const { entry } = pushed
      if (!isAwake()) return pushed
      noteFor('version.pushed', entry.uploadedBy, entry, { at: entry.firstSeenAt, ...weakeningsNow(entry.name) })
      lookBack()
      return pushed
    },

    async approve(by, name) {
      const entry = await versions.approve(by, name)
      if (!isAwake()) return entry
      noteFor('version.approved', entry.approvedBy, entry, weakeningsNow(name))
      lookBack()
      return entry
    },
  }
}

/** How many, and where: paths name what the version has, and no words of people. */
function weakeningDetails(weakenings: readonly Weakening[]): { weakenings: number; weakens?: string } {
  const weakens = weakenings.map(({ kind, path }) => `${kind} ${path}`).join(', ')
  return { weakenings: weakenings.length, ...(weakens !== '' && { weakens: weakens.slice(0, MOST_CHARS) }) }
}
