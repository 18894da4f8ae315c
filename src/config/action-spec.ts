import { type Static, Type } from 'typebox'

const JsonPath = Type.String({ minLength: 1, maxLength: 128, pattern: '^[^.\\s]+(\\.[^.\\s]+)*$' })
const Role = Type.Union([
  Type.Literal('Chat.User'),
  Type.Literal('Action.Approver'),
  Type.Literal('Config.Operator'),
  Type.Literal('Finance.Operator'),
  Type.Literal('Privacy.Officer'),
  Type.Literal('Admin'),
])
/** The hash that a tool had when it was reviewed: SHA-256, hexadecimal. */
const Pin = Type.String({ pattern: '^[0-9a-f]{64}$' })

/**
 * An internal tool over HTTP. `{name}` in `url`, header values and the strings of `body` stands for the argument of that name,
 * encoded for its place; a string of `body` that is nothing but `{name}` becomes the argument as it is, whatever its type.
 */
export const HttpExecutorSpec = Type.Object(
  {
    method: Type.Union([
      Type.Literal('GET'),
      Type.Literal('POST'),
      Type.Literal('PUT'),
      Type.Literal('PATCH'),
      Type.Literal('DELETE'),
    ]),
    url: Type.String({ minLength: 1, maxLength: 2048, description: 'The environment has to permit its host.' }),
    headers: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 2048 }), { maxProperties: 32 })),
    body: Type.Optional(
      Type.Unknown({ description: 'JSON with {name} templates. Left out: all arguments (not for GET and DELETE).' }),
    ),
    onBehalfOf: Type.Optional(
      Type.String({ minLength: 1, maxLength: 512, description: 'The scope of a token of the user who asks.' }),
    ),
    maxResponseBytes: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_194_304, description: 'Default 262144.' })),
    dryRun: Type.Optional(
      Type.Object(
        { url: Type.String({ minLength: 1, maxLength: 2048 }) },
        {
          additionalProperties: false,
          description: 'Answers what would happen, and does nothing; same method and body.',
        },
      ),
    ),
  },
  { additionalProperties: false },
)
export type HttpExecutorSpec = Static<typeof HttpExecutorSpec>

/** A tool of one of `mcpServers`. */
const McpExecutorSpec = Type.Object(
  { server: Type.String(), tool: Type.String({ minLength: 1, maxLength: 128 }), pin: Type.Optional(Pin) },
  { additionalProperties: false },
)
export type McpExecutorSpec = Static<typeof McpExecutorSpec>

/** An operation of one of `openapi`. */
const OpenApiExecutorSpec = Type.Object(
  { document: Type.String(), operation: Type.String({ minLength: 1, maxLength: 256 }), pin: Type.Optional(Pin) },
  { additionalProperties: false },
)
export type OpenApiExecutorSpec = Static<typeof OpenApiExecutorSpec>

export const McpServerSpec = Type.Object(
  {
    url: Type.Optional(Type.String({ format: 'uri', maxLength: 2048, description: 'Streamable HTTP.' })),
    command: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
        minItems: 1,
        maxItems: 32,
        description: 'Started and spoken to over stdio. The environment has to permit it, word by word.',
      }),
    ),
    onBehalfOf: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  },
  { additionalProperties: false },
)
export type McpServerSpec = Static<typeof McpServerSpec>

export const OpenApiSpec = Type.Object(
  {
    url: Type.Optional(Type.String({ format: 'uri', maxLength: 2048, description: 'Where the document is.' })),
    document: Type.Optional(Type.Unknown({ description: 'The document itself.' })),
    server: Type.Optional(Type.String({ format: 'uri', maxLength: 2048, description: 'Instead of its first server.' })),
    onBehalfOf: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  },
  { additionalProperties: false },
)
export type OpenApiSpec = Static<typeof OpenApiSpec>

const ApprovalSpec = Type.Object(
  {
    when: Type.Optional(
      Type.Record(JsonPath, Type.Array(Type.Unknown(), { minItems: 1, maxItems: 100 }), {
        description: 'Only when each of these arguments has one of these values. Left out: always.',
      }),
    ),
    unlessRoles: Type.Optional(
      Type.Array(Role, { minItems: 1, description: 'Callers with one of these roles need none.' }),
    ),
    roles: Type.Optional(
      Type.Array(Role, { minItems: 1, uniqueItems: true, description: 'Who may decide. Default Action.Approver.' }),
    ),
    ownAllowed: Type.Optional(
      Type.Boolean({ description: 'Whether one may approve what one has asked for. Default false.' }),
    ),
    expiresAfterMs: Type.Optional(
      Type.Integer({ minimum: 1000, maximum: 2_592_000_000, description: 'Default 86400000, a day.' }),
    ),
    editable: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
        maxItems: 100,
        uniqueItems: true,
        description: 'Arguments that whoever approves may change.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type ApprovalSpec = Static<typeof ApprovalSpec>

const UndoSpec = Type.Object(
  {
    action: Type.String({ description: 'Another action of this version.' }),
    arguments: Type.Record(Type.String({ minLength: 1, maxLength: 128 }), Type.Unknown(), {
      maxProperties: 100,
      description:
        'Its arguments: JSON with {result.path} and {arguments.path} of the run that is undone in its strings.',
    }),
  },
  { additionalProperties: false, description: 'What takes back what it did, when somebody asks for that.' },
)
export type UndoSpec = Static<typeof UndoSpec>

/** A function that models may call. One of `builtin`, `http`, `mcp` and `openapi` says who does it. */
export const ActionSpec = Type.Object(
  {
    description: Type.String({ minLength: 1, maxLength: 1024, description: 'For the model: when to call it.' }),
    parameters: Type.Record(Type.String(), Type.Unknown(), {
      description: 'JSON Schema (2020-12) of the arguments; of type object.',
    }),
    /** A name of the registry in `src/actions/executors/builtin/`. */
    builtin: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'The built-in function that does it.' }),
    ),
    http: Type.Optional(HttpExecutorSpec),
    mcp: Type.Optional(McpExecutorSpec),
    openapi: Type.Optional(OpenApiExecutorSpec),
    access: Type.Optional(
      Type.Union([Type.Literal('read'), Type.Literal('write')], {
        description: 'Whether it changes anything. Default write.',
      }),
    ),
    output: Type.Optional(
      Type.Union([Type.Literal('untrusted'), Type.Literal('trusted')], {
        description: 'Whether strangers can write what it answers. Default untrusted.',
      }),
    ),
    afterUntrusted: Type.Optional(
      Type.Union([Type.Literal('approval'), Type.Literal('allowed')], {
        description: 'What a write action needs once untrusted output is in the context. Default approval.',
      }),
    ),
    effect: Type.Optional(
      Type.Union([Type.Literal('idempotent'), Type.Literal('at-most-once')], {
        description:
          'idempotent: its target honours the Idempotency-Key, so it is tried again. Default at-most-once for write, idempotent for read.',
      }),
    ),
    order: Type.Optional(
      Type.Union([Type.Literal('none'), Type.Literal('conversation')], {
        description:
          'conversation: its runs of a conversation happen one after the other, as they were asked for. Default none.',
      }),
    ),
    roles: Type.Optional(
      Type.Array(Role, {
        minItems: 1,
        uniqueItems: true,
        description: 'Only callers with one of these roles. Left out: all.',
      }),
    ),
    timeoutMs: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 600_000, description: 'Of one attempt. Default 30000.' }),
    ),
    retries: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 20,
        description: 'Further attempts after a failure that may pass. Default 5.',
      }),
    ),
    approval: Type.Optional(ApprovalSpec),
    undo: Type.Optional(UndoSpec),
  },
  { additionalProperties: false },
)
export type ActionSpec = Static<typeof ActionSpec>
