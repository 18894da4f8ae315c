import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { brokenPromises, publishedAt, servedDocument } from '../support/openapi/publish.ts'

const path = 'docs/openapi.json'
const published = readFileSync(publishedAt, 'utf8')

test('docs/openapi.json is what the app serves', async () => {
  const [committed, served] = [published.split('\n'), (await servedDocument()).split('\n')]
  const line = served.findIndex((text, index) => text !== committed[index])
  const place = (lines: string[]) => (line === -1 ? '' : lines.slice(line, line + 3).join('\n'))
  assert.equal(place(committed), place(served), `differs from line ${line + 1} on; \`npm run docs:openapi\` writes it`)
  assert.equal(committed.length, served.length)
})

test('every operation is under a tag that says what it is about, and no tag is empty', () => {
  const { tags, paths } = JSON.parse(published)
  const used = Object.values<Record<string, { tags?: string[] }>>(paths).flatMap((path) =>
    Object.values(path).flatMap((operation) => operation.tags ?? ['none']),
  )
  assert.deepEqual([...new Set(used)].sort(), tags.map(({ name }: { name: string }) => name).sort())
})

test('no client of an earlier document is broken, unless the version says so', (t) => {
  const commits = new Set([branchPoint(), previousChange()].filter((commit) => commit !== undefined))
  const earlier = [...commits].map((commit) => git('show', `${commit}:${path}`)).filter((text) => text !== undefined)
  if (earlier.length === 0) return t.skip('the history of this clone has no earlier document')
  for (const document of earlier) assert.deepEqual(brokenPromises(document, published), [])
})

/** Where this branch left the main one, if it did. */
function branchPoint(): string | undefined {
  for (const main of ['origin/main', 'main']) {
    const base = git('merge-base', 'HEAD', main)?.trim()
    if (base !== undefined) return base
  }
  return undefined
}

/** The commit of the document before the one at hand. */
function previousChange(): string | undefined {
  const commits = git('log', '-2', '--format=%H', '--', path)?.split('\n').filter(Boolean) ?? []
  const isCommitted = commits[0] !== undefined && git('show', `${commits[0]}:${path}`) === published
  return commits[isCommitted ? 1 : 0]
}

function git(...args: string[]): string | undefined {
  try {
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 })
  } catch {
    return undefined
  }
}
