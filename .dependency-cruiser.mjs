/** The boundaries of the house, each with its reason. `npm run check` holds the code against them. */

import Syntax from '@swc/core/Visitor.js'

/** From the top down: a module imports those below it. */
const modules = [
  'cli',
  'transport',
  'chat',
  'actions',
  'config',
  'models',
  'conversations',
  'governance',
  'identity',
  'events',
  'telemetry',
  'platform',
]

const tests = '^test/|\\.test\\.ts$'
const packages = (...names) => `(^|node_modules/)(${names.join('|')})(/|$)`

const downward = modules.slice(1).map((name, index) => ({
  name: `${name}-imports-downward`,
  comment: `What ${name} imports must stand below it, so that a part can be read, tested and changed without those above.`,
  severity: 'error',
  from: { path: `^src/${name}/`, pathNot: tests },
  to: { path: `^src/(${modules.slice(0, index + 1).join('|')})/` },
}))

const rules = [
  {
    name: 'module-with-a-place',
    comment: 'A folder that has no place in the order above would be held by none of these rules.',
    from: {},
    to: { path: '^src/[^/]+/', pathNot: `^src/(env|${modules.join('|')})/` },
  },
  {
    name: 'no-circles',
    comment: 'Two files that need each other are one file, or miss a third that both need.',
    from: {},
    to: { circular: true },
  },
  {
    name: 'resolvable',
    comment: 'An import that leads nowhere fails at run time only.',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'ground-stands-alone',
    comment: 'errors, log and ids are imported by everything, so they import nothing of ours.',
    from: { path: '^src/(errors|log|ids)\\.ts$' },
    to: { path: '^src/' },
  },
  {
    name: 'app-only-from-main',
    comment: 'The composition root knows everything; whoever imports it does, too.',
    from: { pathNot: `^src/main\\.ts$|${tests}` },
    to: { path: '^src/app\\.ts$' },
  },
  {
    name: 'main-from-nowhere',
    comment: 'Importing it would start the process.',
    from: {},
    to: { path: '^src/main\\.ts$' },
  },
  {
    name: 'environment-handed-in',
    comment: 'Only the root reads the environment; a module is handed its part and may know its type.',
    from: { path: '^src/', pathNot: `^src/(app|main|env)\\.ts$|^src/env/|${tests}` },
    to: { path: '^src/env(\\.ts$|/)', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'modules-by-their-face',
    comment: 'The inner folders of a module are its own business; only the root, which builds it, looks inside.',
    from: { path: '^src/([^/]+)/', pathNot: tests },
    to: { path: '^src/[^/]+/[^/]+/', pathNot: '^src/($1|platform)/' },
  },
  {
    name: 'ports-not-adapters',
    comment: 'Callers know the port (`kv/kv.ts`); which of the twins stands behind it is chosen by the root alone.',
    from: { path: '^src/', pathNot: `^src/platform/|^src/[^/]+\\.ts$|${tests}` },
    to: { path: '^src/platform/[^/]+/', pathNot: '^src/platform/([^/]+)/\\1\\.ts$' },
  },
  {
    name: 'across-modules-by-name',
    comment: 'A path through another folder breaks when either moves: `#module/file.ts` says where it leads.',
    from: { path: '^src/([^/]+)/' },
    to: { path: '^src/', pathNot: '^src/$1/', dependencyTypesNot: ['aliased-subpath-import'] },
  },
  {
    name: 'vendors-behind-platform',
    comment: "A vendor's client is translated where its port is, so that a twin can take its place.",
    from: { path: '^src/', pathNot: `^src/platform/|${tests}` },
    to: { path: `${packages('@azure', '@electric-sql', 'ioredis', 'nodemailer', 'pg')}|^(node:)?sqlite$` },
  },
  {
    name: 'openai-behind-its-provider',
    comment: 'Everything else speaks the provider port, so that a second vendor is a second provider.',
    from: { path: '^src/', pathNot: `^src/models/providers/|${tests}` },
    to: { path: packages('openai') },
  },
  {
    name: 'mcp-behind-its-executor',
    comment: 'What a tool is, what it answers and how it fails is said once, in the words of executors.',
    from: { path: '^src/', pathNot: `^src/actions/executors/mcp/|${tests}` },
    to: { path: packages('@modelcontextprotocol') },
  },
  {
    name: 'undici-where-we-call-out',
    comment: 'Calls that leave the process leave in two places, where egress rules and time limits are.',
    from: { path: '^src/', pathNot: `^src/(models/providers|platform)/|${tests}` },
    to: { path: packages('undici') },
  },
  {
    name: 'fastify-in-transport',
    comment: 'Shapes in, shapes out: what a turn is does not depend on the server that carries it.',
    from: { path: '^src/', pathNot: `^src/transport/|^src/app\\.ts$|${tests}` },
    to: { path: packages('fastify', '@fastify') },
  },
  {
    name: 'cli-by-wire',
    comment:
      'The command line asks a process over HTTP, so it starts at once: of the process it knows the types, and how faults are printed.',
    from: { path: '^src/cli/', pathNot: tests },
    to: { path: '^src/', pathNot: '^src/(cli/|config/fault\\.ts$)', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'sources-without-tests',
    comment: 'What ships does not depend on tests, their fakes or the bench.',
    from: { path: '^src/', pathNot: tests },
    to: { path: `^bench/|${tests}` },
  },
  {
    name: 'sources-without-dev-dependencies',
    comment: 'They are not installed where the process runs.',
    from: { path: '^src/', pathNot: tests },
    to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'type-only'] },
  },
]

// The walk over the syntax tree that swc ships is older than `using`, and gives up on it.
const { visitStatement } = Syntax.Visitor.prototype
Syntax.Visitor.prototype.visitStatement = function (statement) {
  if (statement.type !== 'UsingDeclaration') return visitStatement.call(this, statement)
  this.visitVariableDeclarators(statement.decls)
  return statement
}

export default {
  forbidden: [...downward, ...rules.map((rule) => ({ severity: 'error', ...rule }))],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['node', 'import', 'default', 'types'] },
  },
}
