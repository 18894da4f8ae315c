import { Type } from 'typebox'
import { NAME_PATTERN } from '#config/document.ts'
import { keyLimits } from '#identity/keys.ts'
import { instant, list, nullable, oneOf } from './schema-parts.ts'

/** The shapes of Parley keys. */

const MOST_USD = 1_000_000_000

const Names = (description: string) =>
  Type.Array(Type.String({ pattern: `^\\*$|${NAME_PATTERN}` }), {
    maxItems: keyLimits.names,
    uniqueItems: true,
    description,
  })

const Budget = Type.Object(
  {
    limitUsd: Type.Number({ minimum: 0.01, maximum: MOST_USD }),
    period: Type.Enum(['day', 'month'], { description: 'Of the calendar, by UTC.' }),
  },
  { additionalProperties: false },
)

const Days = (description: string) => Type.Integer({ minimum: 1, maximum: keyLimits.days.most, description })

export const NewKey = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: keyLimits.nameLength, description: 'What it is for, on one line.' }),
    days: Type.Optional(Days(`Until it expires; ${keyLimits.days.default} when left out.`)),
    chat: Type.Optional(
      Names('Specialists, and routes of `/v1`, that it may talk to; `*` is every one, also when left out.'),
    ),
    actions: Type.Optional(Names('Actions that it may call; `*` is every one. None when left out.')),
    budget: Type.Optional(Budget),
  },
  { additionalProperties: false, title: 'NewKey' },
)

export const KeyRotation = Type.Object(
  {
    overlapMinutes: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: keyLimits.overlapMinutes.most,
        description: `How long the text before goes on; ${keyLimits.overlapMinutes.default} when left out.`,
      }),
    ),
    days: Type.Optional(Days('Until it expires, from now on; its end stays when left out.')),
  },
  { additionalProperties: false, title: 'KeyRotation' },
)

const view = {
  id: Type.String(),
  name: Type.String(),
  owner: nullable(Type.String({ description: 'The id of who made it; null once erased.' })),
  status: oneOf('live', 'expired', 'revoked'),
  chat: list(Type.String()),
  actions: list(Type.String()),
  budget: nullable(Type.Object(Budget.properties)),
  createdAt: instant('When it was made'),
  expiresAt: instant('When it expires'),
  rotatedAt: nullable(instant('When it was last rotated')),
  oldTextUntil: nullable(instant('Until when the text before that is taken')),
  revokedAt: nullable(instant('When it was revoked')),
  usedAt: nullable(instant('When it was last used, to the hour')),
  version: Type.Integer({ description: 'Also its ETag.' }),
}

export const Key = Type.Object(view, { title: 'Key' })

export const IssuedKey = Type.Object(
  {
    ...view,
    key: nullable(
      Type.String({ description: 'What its holder sends. Shown this once; null where it was shown before.' }),
    ),
  },
  { title: 'IssuedKey' },
)

export const KeyPage = Type.Object(
  { items: list(Key), next: nullable(Type.String({ description: 'The cursor of the next page.' })) },
  { title: 'KeyPage' },
)

export const KeyQuery = Type.Object(
  {
    whose: Type.Optional(oneOf('mine', 'tenant')),
    owner: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'Of `tenant`, those that one person made.' }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, description: 'Default 50.' })),
    cursor: Type.Optional(Type.String({ pattern: '^key_[0-9a-f]{32}$', description: '`next` of the page before.' })),
  },
  { additionalProperties: false },
)
