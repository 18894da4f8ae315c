import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

interface Manifest {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

interface Lock {
  packages: Record<string, { version?: string; optionalDependencies?: Record<string, string> }>
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest
const rows = [...readFileSync('docs/decisions/dependencies.md', 'utf8').matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)]

test('every runtime dependency is justified, and nothing else is', () => {
  assert.deepEqual(rows.map(([, name]) => name).sort(), Object.keys(manifest.dependencies).sort())
  for (const [, , reason] of rows) assert.match(reason ?? '', /^\S.{20,}\.$/)
})

test('every version is exact', () => {
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, `${name} ${version}`)
  }
})

test('the lock file has the packages of every platform, whoever wrote it', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock
  const locked = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)))
  for (const { optionalDependencies = {} } of Object.values(packages)) {
    for (const name of Object.keys(optionalDependencies)) assert.ok(locked.has(name), `${name} is not locked`)
  }
})
