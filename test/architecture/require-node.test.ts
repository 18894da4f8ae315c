import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

test('an older Node is told so in one line, before it meets TypeScript', () => {
  const { status, stdout, stderr } = startWith('25.9.9')
  assert.equal(status, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /^Parley needs Node 26 and this is 25\.9\.9: [^\n]+\n$/)
})

test('the Node that is asked for starts', () => {
  const { status, stdout, stderr } = startWith('26.0.0')
  assert.equal(stderr, '')
  assert.equal(stdout, 'started')
  assert.equal(status, 0)
})

test('every script that starts Node checks it, and the dependency is the one asked for', () => {
  const { scripts, dependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
  for (const command of Object.values<string>(scripts)) {
    assert.doesNotMatch(command, /\bnode (?!(--import \.\/)?require-node\.mjs\b)/)
  }
  assert.match(dependencies.node, /^26\./)
})

function startWith(version: string) {
  const pretend = `data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"${version}"}})`
  const args = ['--import', pretend, '--import', './require-node.mjs', '-e', 'process.stdout.write("started")']
  return spawnSync(process.execPath, args, { encoding: 'utf8' })
}
