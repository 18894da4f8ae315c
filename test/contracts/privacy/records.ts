import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { AuditEntry } from '#governance/audit.ts'
import { createConsents } from '#governance/privacy/consents.ts'
import { createErasures } from '#governance/privacy/erasures.ts'
import type { RecordPlace, Records } from '#governance/privacy/records.ts'
import type { Eraser } from '#governance/privacy.ts'
import { type Owner, type Principal, partitionOf } from '#identity/principal.ts'
import { createLog } from '#log.ts'
import { manualClock } from '../../support/clock.ts'
import { somebody } from '../../support/conversations.ts'

export interface TestRecords {
  records: Records
  close(): Promise<void>
}

const PLACES = ['archive', 'runs', 'live-state']

/** What is kept about people, and what stands on it, wherever it is kept. */
export function recordsSuite(engine: string, open: () => Promise<TestRecords>): void {
  describe(`records of people in ${engine}`, () => {
    const log = createLog('silent')
    const clock = manualClock()
    let opened: TestRecords
    let records: Records

    before(async () => {
      opened = await open()
      records = opened.records
    })
    after(() => opened.close())

    const somewhere = (): RecordPlace => ({ tenant: randomUUID(), person: randomUUID(), name: 'notes' })

    test('are written over only by who has read them', async () => {
      const at = somewhere()
      assert.equal(await records.read(at), undefined)
      assert.equal(await records.write(at, { n: 1 }, 0), true)
      assert.equal(await records.write(at, { n: 9 }, 0), false)
      assert.deepEqual(await records.read(at), { body: { n: 1 }, version: 1 })
      assert.equal(await records.write(at, [2], 1), true)
      assert.equal(await records.write(at, [9], 1), false)
      assert.deepEqual(await records.read(at), { body: [2], version: 2 })
      for (const other of [
        { ...at, tenant: 'another' },
        { ...at, person: 'another' },
        { ...at, name: 'others' },
      ]) {
        assert.equal(await records.read(other), undefined)
      }
      assert.equal(await records.remove(at), true)
      assert.equal(await records.remove(at), false)
      assert.equal(await records.read(at), undefined)
    })

    test('are found when they are due, until they are no longer', async () => {
      const name = `due-${randomUUID()}`
      const [early, late, never] = [somewhere(), somewhere(), somewhere()].map((at) => ({ ...at, name }))
      assert.ok(early && late && never)
      await records.write(early, 1, 0, 1000)
      await records.write(late, 1, 0, 2000)
      await records.write(never, 1, 0)
      assert.deepEqual(await records.due(name, 999), [])
      const found = await records.due(name, 1000)
      assert.deepEqual(
        found.map(({ person }) => person),
        [early.person],
      )
      assert.equal((await records.due(name, 2000)).length, 2)
      await records.write(early, 2, 1, 3000)
      await records.write(late, 2, 1)
      assert.deepEqual(await records.due(name, 2999), [])
      assert.equal((await records.due(name, 3000)).length, 1)
      assert.deepEqual(await records.due('another', 9000), [])
    })

    const consentsOn = (given: Records = records) => {
      const noted: AuditEntry[] = []
      return { noted, consents: createConsents({ records: given, clock, log, note: (entry) => noted.push(entry) }) }
    }

    test('consent: none before it is given, each purpose by itself, with its history', async () => {
      const who = somebody()
      const { consents, noted } = consentsOn()
      assert.equal(await consents.has(who, 'memory'), false)
      const at = clock.now()
      await consents.change(who, { memory: true, shadow: false })
      assert.equal(await consents.has(who, 'memory'), true)
      assert.equal(await consents.has(who, 'shadow'), false)
      assert.equal(await consents.has(somebody(), 'memory'), false)
      assert.equal(await consents.has({ ...who, tenant: 'elsewhere' }, 'memory'), false)
      clock.advance(5000)
      await consents.change(who, { memory: true })
      const [memory, shadow] = await consents.change(who, { memory: false })
      const history = [
        { given: true, at },
        { given: false, at: at + 5000 },
      ]
      assert.deepEqual(memory, { purpose: 'memory', given: false, since: at + 5000, history })
      assert.deepEqual(shadow, { purpose: 'shadow', given: false, since: null, history: [] })
      assert.deepEqual((await consents.list(who))[0], memory)
      assert.deepEqual(
        noted.map(({ kind, details }) => [kind, details?.purpose, details?.given]),
        [
          ['consent.changed', 'memory', true],
          ['consent.changed', 'memory', false],
        ],
      )
    })

    test('consent: what is taken back counts on another replica within two seconds', async () => {
      const who = somebody()
      const [here, there] = [consentsOn().consents, consentsOn().consents]
      await here.change(who, { analytics: true })
      assert.equal(await there.has(who, 'analytics'), true)
      await here.change(who, { analytics: false })
      assert.equal(await here.has(who, 'analytics'), false)
      clock.advance(2001)
      assert.equal(await there.has(who, 'analytics'), false)
    })

    test('consent: two changes at once are both kept, and where nothing can be known there is none', async () => {
      const who = somebody()
      const [here, there] = [consentsOn().consents, consentsOn().consents]
      await Promise.all([here.change(who, { memory: true }), there.change(who, { experiments: true })])
      const given = (await here.list(who)).filter((one) => one.given).map(({ purpose }) => purpose)
      assert.deepEqual(given, ['memory', 'experiments'])
      const away = consentsOn({ ...records, read: () => Promise.reject(new Error('away')) }).consents
      assert.equal(await away.has(who, 'memory'), false)
    })

    /** Places that have so many things of a person; a step fails where `crash` says so. */
    function grounds(given: Records = records, filled = 3) {
      const left = new Map<string, number>(['data-key', ...PLACES].map((place) => [place, filled]))
      const order: string[] = []
      const told: AuditEntry[] = []
      const at = { crash: '' }
      const step = async (place: string): Promise<number> => {
        if (at.crash === `before ${place}`) throw new Error('crash')
        const erased = left.get(place) ?? 0
        left.set(place, 0)
        order.push(place)
        if (at.crash === `after ${place}`) throw new Error('crash')
        return erased
      }
      const erasers: Eraser[] = PLACES.map((place) => ({ place, erase: () => step(place) }))
      const replica = () =>
        createErasures({
          records: given,
          clock,
          log,
          erasers,
          destroyKey: () => step('data-key').then(() => {}),
          hasKey: async () => left.get('data-key') !== 0,
          record: async (entry) => {
            if (at.crash === `record ${entry.details?.stage}`) throw new Error('crash')
            told.push(entry)
          },
        })
      return { left, order, told, at, replica }
    }

    const isErased = async (replica: ReturnType<typeof createErasures>, owner: Owner) =>
      (await replica.of(owner)).status === 'erased'

    test('erasure: the key first, then every place until nothing is found, with a proof that names nobody', async () => {
      const [officer, who] = [somebody(), somebody()]
      const { order, told, replica } = grounds()
      const erasures = replica()
      await assert.rejects(erasures.of(who), { code: 'erasure_not_found', status: 404 })
      const at = clock.now()
      const proof = await erasures.erase(officer, who)
      const places = [{ place: 'data-key', erased: 1, at }, ...PLACES.map((place) => ({ place, erased: 3, at }))]
      const person = partitionOf(who)
      assert.deepEqual(proof, { status: 'erased', person, requestedAt: at, finishedAt: at, places })
      const round = ['data-key', ...PLACES]
      // The second finds that the first left nothing.
      assert.deepEqual(order, [...round, ...round])
      assert.deepEqual(
        told.map(({ kind, actor, subject, details }) => [kind, actor, subject, details?.stage]),
        ['asked', 'done'].map((stage) => ['data.erased', partitionOf(officer), person, stage]),
      )
      const kept = JSON.stringify(await records.read({ tenant: who.tenant, person, name: 'erasure' }))
      assert.ok(!kept.includes(who.id) && !kept.includes(officer.id))
      assert.deepEqual(await erasures.of(who), proof)
      await erasures.close()
    })

    test('erasure: of whom there is nothing the proof says so', async () => {
      const who = somebody()
      const erasures = grounds(records, 0).replica()
      const { status, places } = await erasures.erase(who, who)
      assert.deepEqual([status, places.map(({ erased }) => erased)], ['erased', [0, 0, 0, 0]])
      await erasures.close()
    })

    const crashes = ['data-key', ...PLACES].flatMap((place) => [`before ${place}`, `after ${place}`])
    for (const crash of [...crashes, 'record done']) {
      test(`erasure: interrupted ${crash}, another replica goes on by itself`, async () => {
        const who = somebody()
        const { left, at, told, replica } = grounds()
        at.crash = crash
        const first = replica()
        const begun = await first.erase(who, who)
        assert.equal(begun.status, 'running')
        await first.close()
        at.crash = ''
        const second = replica()
        await until(async () => {
          clock.advance(31_000)
          return isErased(second, who)
        })
        assert.deepEqual([...left.values()].slice(1), [0, 0, 0])
        const { places } = await second.of(who)
        assert.deepEqual(places.map(({ place }) => place).toSorted(), ['archive', 'data-key', 'live-state', 'runs'])
        assert.equal(places.find(({ place }) => place === 'data-key')?.erased, 1)
        assert.equal(told.filter(({ details }) => details?.stage === 'done').length, 1)
        await second.close()
      })
    }

    test('erasure: nothing is done that the audit log does not know of', async () => {
      const who = somebody()
      const { order, at, replica } = grounds()
      at.crash = 'record asked'
      const erasures = replica()
      await assert.rejects(erasures.erase(who, who), /crash/)
      assert.deepEqual(order, [])
      await assert.rejects(erasures.of(who), { code: 'erasure_not_found' })
      await erasures.close()
    })

    test('erasure: asked for twice at once it comes to one end', async () => {
      const who = somebody()
      const { replica } = grounds()
      const [one, other] = [replica(), replica()]
      await Promise.all([one.erase(who, who), other.erase(who, who)])
      await until(async () => {
        clock.advance(31_000)
        return isErased(one, who)
      })
      assert.ok(await isErased(other, who))
      await Promise.all([one.close(), other.close()])
    })

    test('erasure: asked for again it looks again, and who goes on writing is not waited for', async () => {
      const who: Principal = somebody()
      let rounds = 0
      const erasures = createErasures({
        ...{ records, clock, log },
        erasers: [{ place: 'live-state', erase: async () => ++rounds }],
        destroyKey: async () => {},
        hasKey: async () => true,
        record: async () => {},
      })
      assert.equal((await erasures.erase(who, who)).status, 'erased')
      assert.equal(rounds, 5)
      await erasures.erase(who, who)
      assert.equal(rounds, 10)
      await erasures.close()
    })
  })
}

/** For what a store does, which no clock of ours drives. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    assert.ok(tries < 10_000, 'it comes about')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
