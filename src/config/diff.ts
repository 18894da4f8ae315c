/** The semantic difference of two versions. */
export interface ConfigDiff {
  from: string
  to: string
  identical: boolean
  changes: readonly Change[]
  /** Changes by which less is guarded: a second operator has to agree. */
  weakenings: readonly Weakening[]
}

export interface Change {
  kind: 'added' | 'removed' | 'changed'
  section: 'description' | 'models' | 'routes' | 'specialists' | 'actions' | 'mcpServers' | 'openapi' | 'rollout'
  /** Of the entry; empty for a section without names. */
  name: string
  /** Within the entry, segments joined by dots; empty for the entry as a whole. */
  path: string
  before?: unknown
  after?: unknown
  /** Of instructions and descriptions: the text by words. */
  words?: readonly { kind: 'same' | 'added' | 'removed'; text: string }[]
}

export interface Weakening {
  kind: 'approval' | 'host' | 'limit'
  path: string
  /** One sentence. */
  message: string
}
