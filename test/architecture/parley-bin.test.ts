import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { test } from 'node:test'

const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: { parley: string } }

test('npx finds a command that can be executed', () => {
  assert.doesNotThrow(() => accessSync(bin.parley, constants.X_OK))
  assert.match(readFileSync(bin.parley, 'utf8'), /^#!\/usr\/bin\/env node\n/)
})

test('it runs on the Node that starts it, when that is new enough', () => {
  const { status, stdout, stderr } = start([], ['config', '--help'])
  assert.deepEqual([status, stderr], [0, ''])
  assert.match(stdout, /parley config push/)
})

test('an older Node hands on to the installed one, with its arguments and its exit code', () => {
  const pretend = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"20.20.2"}})'
  const { status, stdout, stderr } = start(['--import', pretend], ['config', 'explode'])
  assert.deepEqual([status, stdout], [2, ''])
  assert.match(stderr, /^parley: There is no config explode\.\n/)
})

function start(flags: readonly string[], args: readonly string[]) {
  return spawnSync(process.execPath, [...flags, bin.parley, ...args], { encoding: 'utf8', cwd: process.cwd() })
}
