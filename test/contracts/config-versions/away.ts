import assert from 'node:assert/strict'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type Containers, grounds, saying } from './grounds.ts'

/** The store away, and what is kept for that. */
export function awayCases(engine: string, containers: () => Promise<Containers>): void {
  test(`${engine}: with the store away at the start, what is on disk is known`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await (await at.replica())[Symbol.asyncDispose]()
    for (const away of ['versions', 'rollout']) {
      at.cut.add(away)
      await using again = await at.replica()
      assert.equal(again.versions.get('v1')?.document.description, 'one')
      assert.deepEqual(again.versions.list()[0]?.status, 'sound')
      at.cut.delete(away)
      await at.versions.put('v2.json', saying('two'))
      await again.looks()
      assert.equal(again.versions.newest().name, 'v2')
      assert.ok(again.lines.some(({ msg }) => msg === 'Config versions can be looked for again'))
    }
  })

  test(`${engine}: with the store away at the start and nothing on disk, a container is waited for`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    at.cut.add('versions')
    const { opened, clock, lines, blobs } = at.opening()
    if (at.versions.engine === 'folder') return assert.rejects(opened, { code: 'config_unavailable' })
    for (let look = 0; look < 5; look++) {
      while (clock.pending === 0) await setImmediate()
      clock.advance(2000)
    }
    assert.equal(lines.filter(({ msg }) => msg === 'Looking for config versions failed').length, 1)
    while (clock.pending === 0) await setImmediate()
    at.cut.clear()
    clock.advance(2000)
    const versions = await opened
    assert.equal(versions.newest().name, 'v1')
    await versions.close()
    await blobs.versions.close()
  })

  test(`${engine}: the wait for a container can be ended`, async () => {
    await using at = await grounds(await containers())
    if (at.versions.engine === 'folder') return assert.equal(at.versions.engine, 'folder')
    at.cut.add('versions')
    const stop = new AbortController()
    const { opened, clock } = at.opening('disk', stop.signal)
    while (clock.pending === 0) await setImmediate()
    stop.abort(new Error('told to stop'))
    await assert.rejects(opened, { message: 'told to stop' })
    assert.equal(clock.pending, 0)
  })

  test(`${engine}: a store that is away for an hour changes nothing, and is said once`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using replica = await at.replica()
    at.cut.add('versions').add('rollout')
    for (let second = 0; second < 3600; second += 2) {
      replica.clock.advance(2000)
      while (replica.clock.pending === 0) await setImmediate()
    }
    assert.equal(replica.versions.newest().name, 'v1')
    assert.deepEqual(replica.faults(), [])
    assert.equal(replica.lines.filter(({ msg }) => msg === 'Looking for config versions failed').length, 1)
    await assert.rejects(replica.versions.push(null, 'v2', saying('two'), 'json'), { code: 'blob_unavailable' })
    at.cut.clear()
    await at.versions.put('v3.json', saying('three'))
    await replica.looks()
    assert.equal(replica.versions.newest().name, 'v3')
  })

  test(`${engine}: with the register away nothing new is taken, until it is back`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using replica = await at.replica()
    at.cut.add('rollout')
    await at.versions.put('v2.json', saying('two'))
    await replica.looks()
    assert.equal(replica.versions.newest().name, 'v1')
    at.cut.clear()
    await replica.looks()
    assert.equal(replica.versions.newest().name, 'v2')
  })

  test(`${engine}: a version whose blob has vanished stays known over a restart, and begins nothing`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await at.versions.put('v2.json', saying('two'))
    await (await at.replica())[Symbol.asyncDispose]()
    await at.versions.delete('v2.json')
    await using again = await at.replica()
    assert.equal(again.versions.get('v2')?.document.description, 'two')
    assert.equal(again.versions.newest().name, 'v1')
    assert.equal(again.versions.list()[0]?.status, 'refused')
    assert.deepEqual(again.faults(), ['v2.json is gone; its version goes on being served as it was'])
    assert.deepEqual((await again.versions.source('v2')).bytes, saying('two'))
    await at.versions.put('v2.json', saying('two'))
    await again.looks()
    assert.equal(again.versions.newest().name, 'v2')
    assert.deepEqual(again.faults(), [])
  })

  test(`${engine}: what is damaged on disk is not served`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await (await at.replica())[Symbol.asyncDispose]()
    const disk = path.join(at.root, 'disk')
    const [kept = ''] = await readdir(disk)
    assert.equal((await stat(path.join(disk, kept))).mode & 0o777, 0o600)
    await writeFile(path.join(disk, kept), 'one', { flag: 'a' })
    await writeFile(path.join(disk, 'half.draft'), 'one')
    {
      await using again = await at.replica()
      assert.equal(again.versions.newest().document.description, 'one')
      assert.ok(again.lines.some(({ msg }) => msg === 'A kept config version is damaged'))
      assert.deepEqual(await readdir(disk), [kept])
    }
    await using healed = await at.replica()
    assert.ok(!healed.lines.some(({ msg }) => msg === 'A kept config version is damaged'))
  })

  test(`${engine}: a document that was changed on disk is read from its blob instead, and its disk is mended`, async () => {
    await using at = await grounds(await containers())
    for (const name of ['v1', 'v2', 'v3']) await at.versions.put(`${name}.json`, saying(`this is ${name}`))
    await (await at.replica())[Symbol.asyncDispose]()
    const file = path.join(at.root, 'disk', 'v1.version')
    const good = await readFile(file, 'utf8')
    await writeFile(file, good.replaceAll('this is v1', 'this is v2'))
    await using again = await at.replica()
    assert.equal(again.versions.get('v1'), undefined)
    assert.ok(again.lines.some(({ msg }) => msg === 'A kept config version is damaged'))
    await again.looks()
    assert.equal(again.versions.get('v1')?.document.description, 'this is v1')
    assert.equal(await readFile(file, 'utf8'), good)
  })

  test(`${engine}: what is on disk is not checked again, until what checks has changed: then the newest, and what is asked for`, async () => {
    await using at = await grounds(await containers())
    for (const name of ['v1', 'v2', 'v3']) await at.versions.put(`${name}.json`, saying(name))
    await (await at.replica())[Symbol.asyncDispose]()
    for (const cut of ['versions', 'rollout']) at.cut.add(cut)
    {
      await using same = await at.replica()
      assert.deepEqual(
        same.versions.list().map(({ name, size, description }) => [name, size, description]),
        ['v3', 'v2', 'v1'].map((name) => [name, saying(name).length, name]),
      )
      assert.equal(same.versions.get('v1'), same.versions.get('v1'), 'one object for all who hold it')
    }
    at.checks.name = 'others'
    await using changed = await at.replica()
    assert.deepEqual(
      changed.versions.list().map(({ name }) => name),
      ['v3'],
    )
    assert.equal(changed.versions.get('v1'), undefined)
    await changed.versions.refresh()
    assert.equal(changed.versions.get('v1')?.document.description, 'v1')
    at.cut.clear()
    await changed.looks()
    assert.equal(changed.versions.list().length, 3)
  })

  test(`${engine}: what was kept before documents were is known with the store away, and kept with its document then`, async () => {
    await using at = await grounds(await containers())
    const bytes = saying('one')
    await at.versions.put('v1.json', bytes)
    await (await at.replica())[Symbol.asyncDispose]()
    const kept = path.join(at.root, 'disk', 'v1.version')
    const now = await readFile(kept)
    const { record, file } = JSON.parse(now.toString('utf8', 0, now.indexOf('\n')))
    await writeFile(kept, `${JSON.stringify({ file, record })}\n${bytes}`)
    for (const cut of ['versions', 'rollout']) at.cut.add(cut)
    await using upgraded = await at.replica()
    assert.equal(upgraded.versions.get('v1')?.document.description, 'one')
    assert.deepEqual((await upgraded.versions.source('v1')).bytes, bytes)
    assert.deepEqual(await readFile(kept), now)
  })

  test(`${engine}: a disk that cannot be written to costs only what is kept`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await writeFile(path.join(at.root, 'file'), '')
    await using replica = await at.replica('file')
    assert.equal(replica.versions.newest().name, 'v1')
    assert.deepEqual((await replica.versions.source('v1')).bytes, saying('one'))
    assert.ok(replica.lines.some(({ msg }) => msg === 'A config version could not be kept on disk'))
    await rm(path.join(at.root, 'file'))
  })
}
