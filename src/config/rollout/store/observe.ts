import type { Operation } from '#platform/kv/kv.ts'
import { count, text } from './arguments.ts'

/** The newest canary units whose order is kept, for the hard guard. */
export const RECENT = 20

/**
 * Counts what was observed of a unit: each metric once per unit, however often it is told, in the step that the unit was assigned
 * in. A turn of the canary (`ok`, `failed`, or failed by the version's `fault`; `aside` where its first model was not even asked,
 * so that it neither adds to the faults in a row nor ends them; '' for what is no turn, or says nothing about the version) also
 * has its place among the newest units and among the faults in a row, and is a trial when it is the first of its kind in the step.
 *
 * Faults in a row are the canary's alone: one of stable ends the row, and within a minute of one of stable's none is added. An
 * outage of both arms that is dense makes no row at all, and in one that is thin each fault of the row was drawn to the canary by
 * chance. What stable had before the row says nothing of it, however long it lasts: else a single fault of stable, long ago, would
 * shield a candidate that a fallback answers for.
 *
 * Fields of counts: `<metric>:<step>:<arm>` bad units · `units` of the canary, `r<n>` whether the n-th, by twenty, failed ·
 * `inRow` faults in a row, each of another owner of trials, `row` number of the row · `stableFaultAt` · `canaryAt` ·
 * `closed:<step>`, `errors:<step>` trials · `control:<step>` · `began`.
 *
 * KEYS counts, unit, trial, open · ARGV arm, step, turn, trial ('' = none, else its member), closes in ms, ttl ms, how long is about
 * the same time (ms), metrics… Answers how many metrics were new, and the faults in a row.
 */
export const observe: Operation<{ news: number; inRow: number }> = {
  name: 'rollout.observe',
  lua: `
    local arm, step, turn, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
    local canary = arm == 'canary' and turn ~= ''
    local now = now_ms()
    local place
    if canary then
      redis.call('HSET', KEYS[1], 'canaryAt', now)
      place = redis.call('HGET', KEYS[2], 'n')
      if not place then
        place = redis.call('HINCRBY', KEYS[1], 'units', 1)
        redis.call('HSET', KEYS[2], 'n', place)
        redis.call('HSET', KEYS[1], 'r' .. place % ${RECENT}, 0)
      end
    end
    local news = 0
    for i = 8, #ARGV do
      if redis.call('HSETNX', KEYS[2], ARGV[i], 1) == 1 then
        news = news + 1
        redis.call('HINCRBY', KEYS[1], ARGV[i] .. ':' .. step .. ':' .. arm, 1)
        if ARGV[i] == 'turn-error' and place then
          local units = tonumber(redis.call('HGET', KEYS[1], 'units') or 0)
          if tonumber(place) > units - ${RECENT} then redis.call('HSET', KEYS[1], 'r' .. place % ${RECENT}, 1) end
        end
      end
    end
    local inRow = tonumber(redis.call('HGET', KEYS[1], 'inRow') or 0)
    if canary and turn == 'fault' then
      local row = redis.call('HGET', KEYS[1], 'row') or '0'
      local shared = tonumber(redis.call('HGET', KEYS[1], 'stableFaultAt') or 0) >= now - tonumber(ARGV[7])
      if not shared and redis.call('HGET', KEYS[3], 'row') ~= row then
        redis.call('HSET', KEYS[3], 'row', row)
        inRow = redis.call('HINCRBY', KEYS[1], 'inRow', 1)
      end
    elseif turn == 'fault' or (canary and turn ~= 'aside') then
      if turn == 'fault' then redis.call('HSET', KEYS[1], 'stableFaultAt', now) end
      if inRow > 0 then
        inRow = 0
        redis.call('HSET', KEYS[1], 'inRow', 0)
        redis.call('HINCRBY', KEYS[1], 'row', 1)
      end
    end
    if canary and ARGV[4] ~= '' and redis.call('HSETNX', KEYS[3], step, 1) == 1 then
      redis.call('ZADD', KEYS[4], now + tonumber(ARGV[5]), ARGV[4])
      redis.call('PEXPIRE', KEYS[4], ttl)
    end
    for k = 1, 3 do redis.call('PEXPIRE', KEYS[k], ttl) end
    return {news, inRow}`,
  twin: (step, [counts, unit, trial, open], args) => {
    if (!counts || !unit || !trial || !open) throw new RangeError('rollout.observe needs four keys')
    const [arm, at, turn, member, closesMs, ttlMs, sameMs] = args.map(text)
    const isCanary = arm === 'canary' && turn !== ''
    let place: number | undefined
    if (isCanary) {
      step.set(counts, { canaryAt: step.now })
      place = count(step.get(unit, 'n'))
      if (place === 0) {
        place = step.increment(counts, 'units', 1)
        step.set(unit, { n: place })
        step.set(counts, { [`r${place % RECENT}`]: 0 })
      }
    }
    let news = 0
    for (const metric of args.slice(7).map(text)) {
      if (step.get(unit, metric)) continue
      news += 1
      step.set(unit, { [metric]: 1 })
      step.increment(counts, `${metric}:${at}:${arm}`, 1)
      if (metric === 'turn-error' && place !== undefined && place > count(step.get(counts, 'units')) - RECENT) {
        step.set(counts, { [`r${place % RECENT}`]: 1 })
      }
    }
    let inRow = count(step.get(counts, 'inRow'))
    if (isCanary && turn === 'fault') {
      const row = count(step.get(counts, 'row'))
      const isShared = count(step.get(counts, 'stableFaultAt')) >= step.now - Number(sameMs)
      if (!isShared && step.get(trial, 'row')?.toString() !== String(row)) {
        step.set(trial, { row })
        inRow = step.increment(counts, 'inRow', 1)
      }
    } else if (turn === 'fault' || (isCanary && turn !== 'aside')) {
      if (turn === 'fault') step.set(counts, { stableFaultAt: step.now })
      if (inRow > 0) {
        inRow = 0
        step.set(counts, { inRow })
        step.increment(counts, 'row', 1)
      }
    }
    if (isCanary && member && at !== undefined && !step.get(trial, at)) {
      step.set(trial, { [at]: 1 })
      step.add(open, member, step.now + Number(closesMs))
      step.expire(open, Number(ttlMs))
    }
    for (const key of [counts, unit, trial]) step.expire(key, Number(ttlMs))
    return [news, inRow]
  },
  decode: ([news, inRow]) => ({ news: Number(news), inRow: Number(inRow) }),
}
