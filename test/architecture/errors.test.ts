import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errorCodes, ParleyError } from '#errors.ts'

const rows = readFileSync('docs/errors.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

test('docs/errors.md has one row for each code of the catalogue, and no other', () => {
  const documented = rows.map(([code]) => code)
  assert.deepEqual(documented.sort(), errorCodes.map((code) => `\`${code}\``).sort())
})

test('docs/errors.md says of each code what the catalogue says', () => {
  for (const code of errorCodes) {
    const { status, retryable } = new ParleyError(code)
    const row = rows.find(([documented]) => documented === `\`${code}\``)
    assert.deepEqual(row?.slice(0, 3), [`\`${code}\``, String(status), retryable ? 'yes' : 'no'])
  }
})

test('docs/errors.md says of each code when it occurs and what to do', () => {
  for (const row of rows) {
    assert.equal(row.length, 5)
    assert.match(row[3] ?? '', /^[A-Z`].+\.$/)
    assert.match(row[4] ?? '', /^[A-Z`].+\.$/)
  }
})

test('the catalogue has only the statuses of an error, and only codes that read as such', () => {
  for (const code of errorCodes) {
    assert.match(code, /^[a-z]+(_[a-z]+)*$/)
    const { status } = new ParleyError(code)
    assert.ok(status >= 400 && status < 600, `${code}: ${status}`)
  }
})
