import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** What starts, opens or changes something that another file could feel. */
const HEAVY =
  /support\/|process\.|mock\.|\b(before|after|beforeEach|afterEach)\(|from 'node:(?!assert|test|crypto|url|path|util|buffer)/

/** Whether all that the tests of a file do is to call functions, as far as its text tells. */
export function isLight(path: string): boolean {
  return !HEAVY.test(readFileSync(path, 'utf8'))
}

/**
 * Test files that each stand for several, by their paths, until this process ends: to start a process for each of the several
 * takes longer than what is tested in it.
 */
export function together(paths: readonly string[], groups: number): Map<string, readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-together-'))
  process.once('exit', () => rmSync(folder, { recursive: true }))
  const standing = new Map<string, readonly string[]>()
  for (let group = 0; group < groups; group++) {
    const members = paths.filter((_, at) => at % groups === group)
    const path = join(folder, `${group}.test.mjs`)
    writeFileSync(path, members.map((member) => `import '${pathToFileURL(member)}'\n`).join(''))
    standing.set(path, members)
  }
  return standing
}
