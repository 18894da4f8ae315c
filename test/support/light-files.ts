import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = resolve(import.meta.dirname, '../..')

/** What tests of other files in the same process would feel. */
const FELT =
  /\bprocess\.(?!execPath|nextTick|pid\b|platform\b)|\bmock\.(?!close\b)|\bsetFlagsFromString\b|from 'node:(child_process|worker_threads)'/
/** What changes the process, such as whom it trusts, or starts so much that the process is the smallest part of it. */
const APART =
  /\/support\/(browser|chaos|ensure-\w+|fuzz\/\w+|harness-run|key-vault|localhost-certificate|mail-server|replica|run-chaos|run-processes|telemetry-\w+)\.ts'/

/** A group is worth a process of its own from so many files on. */
const fewest = 4

/** Whether the tests of a file leave the process as they found it, as far as its text tells. */
export function isLight(path: string): boolean {
  const source = readFileSync(path, 'utf8')
  return ![FELT, APART].some((refused) => refused.test(source))
}

/**
 * Test files that each stand for several, by their paths, until this process ends: to start a process for each of the several,
 * and to load the app in it, takes longer than what is tested there. Each of the several is a suite, with hooks of its own, and
 * they run one after the other.
 */
export function together(paths: readonly string[], most: number): Map<string, readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-together-'))
  process.once('exit', () => rmSync(folder, { recursive: true }))
  const groups = Math.min(most, Math.ceil(paths.length / fewest))
  const standing = new Map<string, readonly string[]>()
  for (let group = 0; group < groups; group++) {
    const members = paths.filter((_, at) => at % groups === group)
    const path = join(folder, `${group}.test.mjs`)
    writeFileSync(path, `import { describe } from 'node:test'\n${members.map(suiteOf).join('')}`)
    standing.set(path, members)
  }
  return standing
}

function suiteOf(path: string): string {
  const [name, address] = [relative(root, path), pathToFileURL(path).href].map((each) => JSON.stringify(each))
  return `describe(${name}, () => import(${address}))\n`
}
