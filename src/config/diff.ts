import type { ConfigDocument } from './document.ts'

/** A document as it goes into a diff, under the name that it has there. */
export interface Compared {
  name: string
  document: ConfigDocument
}

/** The semantic difference of two versions. */
export interface ConfigDiff {
  from: string
  to: string
  identical: boolean
  /** By section, name and path. */
  changes: readonly Change[]
  /** Changes by which less is guarded: a second operator has to agree. */
  weakenings: readonly Weakening[]
}

export interface Change {
  kind: 'added' | 'removed' | 'changed'
  section: Section
  /** Of the entry; empty for a section without names. */
  name: string
  /**
   * Within the entry, segments joined by dots; empty for the entry as a whole. Of a list whose order has no meaning, such as the
   * actions of a specialist, each item is a change of its own and the last segment.
   */
  path: string
  before?: unknown
  after?: unknown
  /** Of instructions and descriptions, instead of `before` and `after`: the text by words. Left out where too much has changed. */
  words?: readonly Words[]
}

export type Section =
  | 'description'
  | 'models'
  | 'routes'
  | 'specialists'
  | 'actions'
  | 'mcpServers'
  | 'openapi'
  | 'rollout'

export interface Words {
  kind: 'same' | 'added' | 'removed'
  text: string
}

export interface Weakening {
  kind: 'approval' | 'host' | 'limit'
  /** From the top of the document that weakens, segments joined by dots. */
  path: string
  /** One sentence. */
  message: string
}
