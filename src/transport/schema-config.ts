import { type Static, Type } from 'typebox'
import { ErrorReply } from './schema.ts'
import { instant, list, nullable, oneOf } from './schema-parts.ts'

/** The shapes of config versions. */

const Person = Type.Object({ id: Type.String(), name: Type.String() })
const Hash = Type.String({ description: 'SHA-256 of its bytes, hexadecimal; also its ETag.' })

const ConfigFault = Type.Object(
  {
    path: Type.String({ description: 'Segments joined by dots; empty for the document as a whole.' }),
    line: Type.Integer({ description: 'Counted from 1, as are columns.' }),
    column: Type.Integer(),
    message: Type.String({ description: 'Goes on from the path.' }),
  },
  { title: 'ConfigFault' },
)

export const ConfigVersionEntry = Type.Object(
  {
    name: Type.String(),
    hash: Hash,
    size: Type.Integer({ description: 'In bytes.' }),
    description: nullable(Type.String()),
    status: oneOf('sound', 'refused'),
    faults: list(ConfigFault),
    firstSeenAt: instant('When it was first seen'),
    uploadedBy: nullable(Person),
    approvedBy: nullable(Person),
    serves: nullable(
      Type.Object({
        as: oneOf('stable', 'canary'),
        percent: Type.Number({ description: 'Of new conversations.' }),
      }),
    ),
  },
  { title: 'ConfigVersion' },
)
export type ConfigVersionEntry = Static<typeof ConfigVersionEntry>

export const ConfigVersionPage = Type.Object({ items: list(ConfigVersionEntry) }, { title: 'ConfigVersionPage' })

export const VersionPath = Type.Object({ version: Type.String() })
export const DiffPath = Type.Object({ from: Type.String(), to: Type.String() })

export const PushQuery = Type.Object(
  { dryRun: Type.Optional(Type.Boolean({ description: 'Says what would come of it, and keeps nothing.' })) },
  { additionalProperties: false },
)

export const NewOnly = Type.Object({
  'if-none-match': Type.Optional(Type.String({ description: '`*`: only when there is none of this name.' })),
})

const Weakening = Type.Object({
  kind: oneOf('approval', 'host', 'limit'),
  path: Type.String(),
  message: Type.String(),
})

export const ConfigCheck = Type.Object(
  {
    name: Type.String(),
    hash: Hash,
    size: Type.Integer({ description: 'In bytes.' }),
    description: nullable(Type.String()),
    against: nullable(Type.String({ description: 'The version that is stable at present.' })),
    weakenings: list(Weakening),
  },
  { title: 'ConfigCheck' },
)
export type ConfigCheck = Static<typeof ConfigCheck>

const Change = Type.Object({
  kind: oneOf('added', 'removed', 'changed'),
  section: Type.String(),
  name: Type.String({ description: 'Of the entry; empty for a section without names.' }),
  path: Type.String({ description: 'Within the entry, segments joined by dots; empty for the whole of it.' }),
  before: Type.Optional(Type.Unknown()),
  after: Type.Optional(Type.Unknown()),
  words: Type.Optional(
    list(Type.Object({ kind: oneOf('same', 'added', 'removed'), text: Type.String() }, { title: 'ChangedWords' })),
  ),
})

export const ConfigDiffReply = Type.Object(
  {
    from: Type.String(),
    to: Type.String(),
    identical: Type.Boolean(),
    changes: list(Change),
    weakenings: list(Weakening),
  },
  { title: 'ConfigDiff' },
)

/** The one shape of errors, and what is wrong with the document, all of it. */
export const configInvalid = {
  description: 'The document has faults: all of them.',
  content: {
    'application/json': {
      schema: Type.Object(
        { error: Type.Object({ ...ErrorReply.properties.error.properties, faults: Type.Optional(list(ConfigFault)) }) },
        { title: 'ConfigInvalid' },
      ),
    },
  },
}
