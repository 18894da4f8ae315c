import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { PgliteStream } from '../../src/platform/sql/pglite-stream.ts'

const cacheFolder = resolve(import.meta.dirname, '../../node_modules/.cache/parley')
const template = join(cacheFolder, `pglite-${manifest.dependencies['@electric-sql/pglite']}`)

/** An empty database of this PGlite, to copy instead of making one; undefined before anybody has made it. */
export function pgliteTemplate(): string | undefined {
  return existsSync(template) ? template : undefined
}

export async function ensurePgliteTemplate(): Promise<void> {
  if (existsSync(template)) return
  await mkdir(cacheFolder, { recursive: true })
  const folder = await mkdtemp(join(cacheFolder, 'unfinished-'))
  const path = join(folder, 'database')
  const stream = new PgliteStream({ path }, Promise.resolve()).connect()
  await once(stream, 'connect')
  stream.end()
  await stream.ended
  // Another run may have been quicker.
  await rename(path, template).catch((error: Error) => {
    if (!existsSync(template)) throw error
  })
  await rm(folder, { recursive: true })
}
