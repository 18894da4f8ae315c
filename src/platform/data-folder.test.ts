import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDataFolder } from './data-folder.ts'

test('a folder is made for its owner alone, locked, and let go of', async () => {
  await using place = await newPlace()
  const path = join(place.path, 'deep', 'data')
  const folder = await openDataFolder(path)
  assert.equal(folder.path, path)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  await assert.rejects(openDataFolder(path), { code: 'data_locked', message: new RegExp(`process ${process.pid}\\b`) })
  await folder[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
  await using again = await openDataFolder(path)
  assert.equal(again.path, path)
})

test('a second process is told who has the folder, and takes it over when that one is killed', async () => {
  await using place = await newPlace()
  const holder = await holdInAnotherProcess(place.path)
  await assert.rejects(openDataFolder(place.path), {
    code: 'data_locked',
    message: new RegExp(`process ${holder.pid}\\b`),
  })
  holder.kill('SIGKILL')
  await once(holder, 'close')
  // What it left says that a process has the folder, and be it one that lives.
  writeFileSync(join(place.path, 'lock.pid'), String(process.ppid))
  await using folder = await openDataFolder(place.path)
  assert.equal(folder.path, place.path)
})

test('a holder that has not yet said who it is refuses all the same', async () => {
  await using place = await newPlace()
  const folder = await openDataFolder(place.path)
  await rm(join(place.path, 'lock.pid'))
  await assert.rejects(openDataFolder(place.path), { code: 'data_locked', message: /unknown/ })
  await folder[Symbol.asyncDispose]()
})

test('a folder that cannot be used is an error of the environment', async () => {
  await using place = await newPlace()
  writeFileSync(join(place.path, 'file'), '')
  await assert.rejects(openDataFolder(join(place.path, 'file')), { code: 'environment_invalid' })
  writeFileSync(join(place.path, 'lock.db'), 'this is no database, and long enough to tell that it is none'.repeat(20))
  await assert.rejects(openDataFolder(place.path), { code: 'environment_invalid' })
})

async function newPlace(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'data-folder-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

async function holdInAnotherProcess(path: string): Promise<ChildProcess> {
  const source = `
    const { openDataFolder } = await import(${JSON.stringify(import.meta.resolve('./data-folder.ts'))})
    await openDataFolder(${JSON.stringify(path)})
    console.log('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}
