import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { openMasterKeys } from './master-keys.ts'

describe('master keys of a file', () => {
  let folder: string
  let path: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-keys-'))
    path = join(folder, 'master.key')
  })
  afterEach(() => rm(folder, { recursive: true }))

  const open = () => openMasterKeys({ masterKeys: { source: 'file', path } })

  it('are made once, for their owner alone', async () => {
    const made = await open()
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    const sealed = made.current.seal.seal('text', 'here')
    const again = await open()
    assert.equal(again.current.id, made.current.id)
    assert.equal(again.current.seal.unseal(sealed, 'here').toString(), 'text')
    assert.deepEqual(await readdir(folder), ['master.key'])
  })

  it('are the same for all who make them at once', async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, open))
    assert.equal(new Set(opened.map(({ current }) => current.id)).size, 1)
    const sealed = opened[0]?.current.seal.seal('text', 'here') ?? Buffer.alloc(0)
    for (const { current } of opened) assert.equal(current.seal.unseal(sealed, 'here').toString(), 'text')
    assert.deepEqual(await readdir(folder), ['master.key'])
  })

  it('are in the form of PARLEY_MASTER_KEYS', async () => {
    const { current } = await open()
    const [id = '', encoded = ''] = (await readFile(path, 'utf8')).trim().split(':')
    const carried = await openMasterKeys({
      masterKeys: { source: 'environment', keys: [{ id, key: Buffer.from(encoded, 'base64') }] },
    })
    assert.equal(carried.current.id, current.id)
    assert.equal(carried.current.seal.unseal(current.seal.seal('text', 'here'), 'here').toString(), 'text')
  })

  it('are refused when others could read or write them', async () => {
    await open()
    for (const mode of [0o640, 0o620, 0o604, 0o602, 0o644, 0o777]) {
      await chmod(path, mode)
      await assert.rejects(open(), (error: Error & { code: string }) => {
        assert.equal(error.code, 'environment_invalid')
        assert.doesNotMatch(error.message, /\n/)
        assert.ok(error.message.includes(path))
        return true
      })
    }
    await chmod(path, 0o400)
    await assert.doesNotReject(open())
  })

  it('are refused, and left alone, when the file holds something else', async () => {
    for (const content of ['', 'no key', 'id:c2hvcnQ=', `${randomBytes(32).toString('base64')}`]) {
      await writeFile(path, content, { mode: 0o600 })
      await assert.rejects(open(), { code: 'environment_invalid' })
      assert.equal(await readFile(path, 'utf8'), content)
    }
  })
})

describe('master keys of the environment', () => {
  it('begin with the current one', async () => {
    const keys = ['new', 'old'].map((id) => ({ id, key: randomBytes(32) }))
    const opened = await openMasterKeys({ masterKeys: { source: 'environment', keys } })
    assert.equal(opened.current.id, 'new')
    assert.equal(opened.find('old')?.id, 'old')
    assert.equal(opened.find('other'), undefined)
  })

  it('are those of now; earlier ones go on opening what they sealed', async () => {
    const [first, second] = ['first', 'second'].map((id) => ({ id, key: randomBytes(32) }))
    assert.ok(first && second)
    const masterKeys = { source: 'environment' as const, keys: [first] }
    const opened = await openMasterKeys({ masterKeys })
    const sealed = opened.current.seal.seal('text', 'here')
    masterKeys.keys = [second]
    assert.equal(opened.current.id, 'second')
    assert.equal(opened.find('first')?.seal.unseal(sealed, 'here').toString(), 'text')
    assert.equal(opened.find('second')?.id, 'second')
  })

  it('tell of one that is asked for and not known: another replica may have a new one already', async () => {
    const masterKeys = { source: 'environment' as const, keys: [{ id: 'a', key: randomBytes(32) }] }
    let unknown = 0
    const opened = await openMasterKeys({ masterKeys, onUnknownMaster: () => unknown++ })
    assert.equal(opened.find('a')?.id, 'a')
    assert.equal(unknown, 0)
    assert.equal(opened.find('b'), undefined)
    assert.equal(unknown, 1)
  })
})
