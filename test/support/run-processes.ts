import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Everything that a run of the tests starts inherits it: of which run it is, and of which process of a test file. */
export const startedBy = 'PARLEY_TEST_STARTED_BY'

/** What was still there when the process of its test file was not. */
export interface Left {
  /** Its path, as far as it is known. */
  file: string | undefined
  command: string
}

interface Seen {
  pid: number
  parent: number
  /** The process ids of a machine come round. */
  key: string
}

interface Owner {
  /** The process of a test file; undefined for the run itself. */
  pid: number | undefined
  file: string | undefined
}

/** So many looks in a row something may outlive its owner: helpers of a browser notice a little later that it is gone. */
const looksOfGrace = 5

/**
 * The processes of a run, as far as there is a `/proc`. It knows them by the environment that they inherited, and those that
 * overwrite theirs, as Redis and PostgreSQL do, by who started whom, which it sees when it looks.
 */
export class RunProcesses {
  readonly #run = randomUUID()
  readonly #lookEveryMs: number
  readonly #owners = new Map<string, Owner | 'not ours'>()
  readonly #alone = new Map<string, number>()
  readonly #left = new Map<string, Left>()
  #watch: NodeJS.Timeout | undefined

  constructor(graceMs: number) {
    this.#lookEveryMs = graceMs / looksOfGrace
    process.env[startedBy] = joined(process.env[startedBy], this.#run)
  }

  /** From now on whatever has outlived the process of its test file is killed, so that no pipe stays open for its sake. */
  watch(): void {
    this.#watch = setInterval(() => this.#endAlone(), this.#lookEveryMs).unref()
  }

  /** Kills what is still there after a while, and tells what was killed since `watch`. */
  async end(): Promise<readonly Left[]> {
    clearInterval(this.#watch)
    for (let look = 0; look < 2 * looksOfGrace; look++) {
      const ours = this.#look()
      if (ours.length === 0) break
      if (look >= looksOfGrace) for (const [seen, { file }] of ours) this.#kill(seen, file)
      await sleep(this.#lookEveryMs)
    }
    return [...this.#left.values()]
  }

  /** Kills everything at once, also what is started meanwhile. */
  kill(): void {
    for (let look = 0; look < 2 * looksOfGrace; look++) {
      const ours = this.#look()
      if (ours.length === 0) return
      for (const [{ pid }] of ours) kill(pid)
    }
  }

  #endAlone(): void {
    const ours = this.#look()
    const alive = new Set(ours.map(([{ pid }]) => pid))
    for (const [seen, { pid, file }] of ours) {
      if (pid === undefined || alive.has(pid)) continue
      const looks = (this.#alone.get(seen.key) ?? 0) + 1
      this.#alone.set(seen.key, looks)
      if (looks === looksOfGrace) this.#kill(seen, file)
    }
  }

  #kill({ pid, key }: Seen, file: string | undefined): void {
    const command = commandOf(pid)
    if (kill(pid) && !this.#left.has(key))
      this.#left.set(key, { file: file ?? testFileIn(command), command: command.join(' ') })
  }

  /** What of the run is alive, apart from this process. */
  #look(): [Seen, Owner][] {
    const seen = new Map<number, Seen>()
    for (const each of processIds().flatMap(seenNow)) if (each.pid !== process.pid) seen.set(each.pid, each)
    const ours: [Seen, Owner][] = []
    for (const each of seen.values()) {
      const owner = this.#ownerOf(each, seen)
      if (owner !== 'not ours') ours.push([each, owner])
    }
    return ours
  }

  #ownerOf(one: Seen, all: ReadonlyMap<number, Seen>): Owner | 'not ours' {
    const known = this.#owners.get(one.key)
    if (known) return known
    const named = this.#ownerByEnvironment(one.pid)
    const owner = named !== 'not ours' && named.file ? named : (this.#ownerByParent(one, all) ?? named)
    this.#owners.set(one.key, owner)
    return owner
  }

  #ownerByParent({ parent }: Seen, all: ReadonlyMap<number, Seen>): Owner | undefined {
    if (parent === process.pid) return { pid: undefined, file: undefined }
    const above = all.get(parent)
    const owner = above && this.#ownerOf(above, all)
    if (!owner || owner === 'not ours') return undefined
    return above.parent === process.pid ? { pid: above.pid, file: testFileIn(commandOf(above.pid)) } : owner
  }

  #ownerByEnvironment(pid: number): Owner | 'not ours' {
    const names = contentOf(`/proc/${pid}/environ`)
      .split('\0')
      .find((variable) => variable.startsWith(`${startedBy}=`))
      ?.slice(startedBy.length + 1)
      .split('\n')
    const at = names?.indexOf(this.#run) ?? -1
    if (at < 0) return 'not ours'
    const [owner, ...file] = names?.[at + 1]?.split(':') ?? []
    return owner ? { pid: Number(owner), file: file.join(':') } : { pid: undefined, file: undefined }
  }
}

/** Marks what this process starts, being that of a test file. */
export function markStarted(file: string): void {
  process.env[startedBy] = joined(process.env[startedBy], `${process.pid}:${file}`)
}

function joined(before: string | undefined, name: string): string {
  return before ? `${before}\n${name}` : name
}

/** What has ended and waits to be reaped is not. */
export function isAlive(pid: number): boolean {
  return seenNow(pid).length > 0
}

function seenNow(pid: number): Seen[] {
  const stat = contentOf(`/proc/${pid}/stat`)
  // The name of the program is in brackets, and may have some itself.
  const [state, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (!state || state === 'Z' || state === 'X') return []
  return [{ pid, parent: Number(parent), key: `${pid} ${rest[17]}` }]
}

function processIds(): number[] {
  try {
    return readdirSync('/proc').filter(isNumber).map(Number)
  } catch {
    return []
  }
}

function isNumber(name: string): boolean {
  return /^\d+$/.test(name)
}

function testFileIn(command: readonly string[]): string | undefined {
  return command.findLast((word) => /\.test\.(ts|mjs)$/.test(word))
}

function commandOf(pid: number): string[] {
  return contentOf(`/proc/${pid}/cmdline`).split('\0').filter(Boolean)
}

/** Nothing of what has ended meanwhile, and of what is not ours to read. */
function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}
