import { createHash } from 'node:crypto'
import type { Operation } from './kv.ts'

/**
 * What the body of an operation may call (see `Operation`). Redis knows no stream entry `0-0`, so a log keeps position + 1.
 * An append relies on XADD refusing what is not above the top: the top itself would have to be read with its body.
 */
const functions = {
  now_ms: `
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end`,
  log_append: `
local function log_append(key, position, body)
  local added = redis.pcall('XADD', key, string.format('%.0f-0', position + 1), 'b', body)
  if type(added) ~= 'table' or not added.err then return true end
  if string.find(added.err, 'equal or smaller', 1, true) then return false end
  error(added)
end`,
  log_top: `
local function log_top(key)
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  if not last then return -1 end
  return tonumber(string.match(last[1], '^%d+')) - 1
end`,
  log_read: `
local function log_read(key, after, limit)
  local found = redis.call('XRANGE', key, string.format('%.0f-0', after + 2), '+', 'COUNT', limit)
  local flat = {}
  for at, entry in ipairs(found) do
    flat[2 * at - 1] = tonumber(string.match(entry[1], '^%d+')) - 1
    flat[2 * at] = entry[2][2]
  end
  return flat
end`,
  signal: `
local function signal(key, payload)
  redis.call('SPUBLISH', key, payload)
end`,
}

export interface Script {
  text: string
  sha: string
}

const scripts = new WeakMap<Operation<unknown>, Script>()
const owners = new Map<string, string>()

/** The script of an operation: its body after the functions that it names, so that a call makes no others. */
export function scriptOf(operation: Operation<unknown>): Script {
  const known = scripts.get(operation)
  if (known) return known
  const owner = owners.get(operation.name)
  if (owner !== undefined && owner !== operation.lua) {
    throw new RangeError(`Two operations are named ${operation.name}`)
  }
  owners.set(operation.name, operation.lua)
  const used = Object.entries(functions).filter(([name]) => new RegExp(`\\b${name}\\s*\\(`).test(operation.lua))
  const text = [...used.map(([, source]) => source), operation.lua].join('\n')
  const script = { text, sha: createHash('sha1').update(text).digest('hex') }
  scripts.set(operation, script)
  return script
}
