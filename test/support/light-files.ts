import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** What a light file may take from Node and from `test/support`: nothing that starts a process or listens. */
const NODE =
  /^node:(assert|assert\/strict|buffer|crypto|events|fs|fs\/promises|os|path|stream|test|timers\/promises|url|util|zlib)$/
const SUPPORT =
  /\/support\/(captured-log|chat-at-hand|chat-config|cli-run|clock|completions|executor-context|models-at-hand|scripted-\w+|sse|turn-log-at-hand|turn-script|upstream-plan)\.ts$/
/** What tests of other files in the same process would feel. */
const FELT = /process\.|mock\.|\b(beforeEach|afterEach)\(/
const OWN_TEST = /^(test|describe)\(/m
const IMPORTED = / from '([^']+)'/g

/** Whether all that the tests of a file do is to call functions, as far as its text tells. */
export function isLight(path: string): boolean {
  const source = readFileSync(path, 'utf8')
  const imported = Array.from(source.matchAll(IMPORTED), ([, from = '']) => from)
  const isAllowed = (from: string) => {
    if (from.startsWith('node:')) return NODE.test(from)
    return !from.includes('/support/') || SUPPORT.test(from)
  }
  return OWN_TEST.test(source) && !FELT.test(source) && imported.every(isAllowed)
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
