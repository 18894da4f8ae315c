import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createSeal } from './vault.ts'

const unreadable = { code: 'sealed_unreadable' }
const seed = Date.now() % 1_000_000
const property = { seed, numRuns: 200 }
const bytes = fc.uint8Array({ maxLength: 300 })
const place = fc.string({ unit: 'binary', maxLength: 80 })

describe(`a seal (seed ${seed})`, () => {
  const seal = createSeal(randomBytes(32))

  it('gives back what was sealed', () => {
    fc.assert(
      fc.property(bytes, place, (plain, at) => {
        assert.deepEqual(seal.unseal(seal.seal(plain, at), at), Buffer.from(plain))
      }),
      property,
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.equal(seal.unseal(seal.seal(text, 'here'), 'here').toString(), text)
      }),
      property,
    )
  })

  it('notices any flipped bit', () => {
    fc.assert(
      fc.property(bytes, fc.nat(), (plain, at) => {
        const sealed = seal.seal(plain, 'here')
        const bit = at % (sealed.length * 8)
        sealed[bit >> 3] = Number(sealed[bit >> 3]) ^ (1 << (bit & 7))
        assert.throws(() => seal.unseal(sealed, 'here'), unreadable)
      }),
      property,
    )
  })

  it('notices when bytes are missing, added or none of ours', () => {
    const sealed = seal.seal('some text', 'here')
    for (let length = 0; length < sealed.length; length += 1) {
      assert.throws(() => seal.unseal(sealed.subarray(0, length), 'here'), unreadable)
    }
    assert.throws(() => seal.unseal(Buffer.concat([sealed, Buffer.alloc(1)]), 'here'), unreadable)
    assert.throws(() => seal.unseal(randomBytes(200), 'here'), unreadable)
  })

  it('binds to its place', () => {
    fc.assert(
      fc.property(bytes, place, place, (plain, at, elsewhere) => {
        fc.pre(!Buffer.from(at).equals(Buffer.from(elsewhere)))
        assert.throws(() => seal.unseal(seal.seal(plain, at), elsewhere), unreadable)
      }),
      property,
    )
  })

  it('opens with its own key only', () => {
    fc.assert(
      fc.property(bytes, (plain) => {
        const other = createSeal(randomBytes(32))
        assert.throws(() => other.unseal(seal.seal(plain, 'here'), 'here'), unreadable)
      }),
      property,
    )
  })

  it('digests the same text alike, with its own key only', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (text, other) => {
        assert.equal(seal.digest(text), seal.digest(text))
        if (Buffer.from(text).equals(Buffer.from(other))) return
        assert.notEqual(seal.digest(text), seal.digest(other))
        assert.notEqual(seal.digest(text), createSeal(randomBytes(32)).digest(text))
      }),
      property,
    )
  })

  it('never uses a nonce twice, also when the pool is refilled', () => {
    const count = 5000
    const used = new Set(Array.from({ length: count }, () => seal.seal('', '').toString('hex', 0, 13)))
    assert.equal(used.size, count)
  })

  it('has the documented form: version, nonce, ciphertext, tag', () => {
    const sealed = seal.seal('ten bytes.', 'here')
    assert.equal(sealed.length, 1 + 12 + 10 + 16)
    assert.equal(sealed[0], 1)
  })
})
