import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { createLog } from '../../src/log.ts'
import { migrations } from '../../src/migrations.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { inOrder } from '../../src/platform/sql/migrations.ts'
import { createPglite } from '../../src/platform/sql/pglite.ts'
import { PgliteStream } from '../../src/platform/sql/pglite-stream.ts'

const cacheFolder = resolve(import.meta.dirname, '../../node_modules/.cache/parley')
const staleMs = 24 * 60 * 60_000
const program = new URL('pglite.wasm', import.meta.resolve('@electric-sql/pglite'))
const version = manifest.dependencies['@electric-sql/pglite']
const bare = `pglite-${version}-slim`
const migrated = `${bare}-${hashOfSchema()}`
/** `template1` and `template0` as PostgreSQL numbers them: more than half of the files, which every test would copy and none needs. */
const unused = ['1', '4']
const { WebAssembly } = globalThis as unknown as { WebAssembly: { compile(bytes: Buffer): Promise<unknown> } }
/** As long as it is held here, threads that compile the same program find what was compiled, and made faster, before. */
const compiled: Promise<unknown>[] = []
let asked = 0

/** An empty database to copy instead of making one, with the tables of all modules; undefined before `npm test` has made it. */
export function pgliteTemplate(): string | undefined {
  asked += 1
  if (asked === 2) compiled.push(WebAssembly.compile(readFileSync(program)))
  return present(migrated)
}

/** For a process of its own that starts on this data folder, and would make a database first. */
export async function layPgliteTemplate(dataDir: string): Promise<void> {
  const template = pgliteTemplate()
  if (template !== undefined) await cp(template, join(dataDir, 'sql'), { recursive: true })
}

/** Without a table. */
export function barePgliteTemplate(): string | undefined {
  return present(bare)
}

export async function ensurePgliteTemplates(): Promise<void> {
  await mkdir(cacheFolder, { recursive: true })
  await ensure(bare, async (path) => {
    const stream = new PgliteStream({ path }, Promise.resolve()).connect()
    await once(stream, 'connect')
    stream.end()
    await stream.ended
    for (const name of unused) await rm(join(path, 'base', name), { recursive: true })
  })
  await ensure(migrated, async (path) => {
    const log = createLog('silent')
    const sql = createPglite({ path, template: present(bare), migrations, clock: systemClock, log })
    await sql.prepare()
    await sql.close()
  })
}

async function ensure(name: string, make: (path: string) => Promise<void>): Promise<void> {
  if (present(name)) return
  await removeStale()
  const folder = await mkdtemp(join(cacheFolder, 'unfinished-'))
  const path = join(folder, name)
  await make(path)
  // Another run may have been quicker.
  await rename(path, join(cacheFolder, name)).catch((error: Error) => {
    if (!present(name)) throw error
  })
  await rm(folder, { recursive: true })
}

/** Those of other schemas, which a run that is still under way may need, and of runs that were cut short. */
async function removeStale(): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    const path = join(cacheFolder, name)
    if (!/^(pglite|unfinished)-/.test(name) || name === bare) continue
    if ((await stat(path)).mtimeMs < Date.now() - staleMs) await rm(path, { recursive: true, force: true })
  }
}

function present(name: string): string | undefined {
  const path = join(cacheFolder, name)
  return existsSync(path) ? path : undefined
}

function hashOfSchema(): string {
  const hash = createHash('sha256').update(readFileSync(new URL(import.meta.resolve('#platform/sql/pglite.ts'))))
  for (const { name, sql } of inOrder(migrations)) hash.update(name).update(sql)
  return hash.digest('hex').slice(0, 16)
}
