import type { Reader } from './reader.ts'

/** Who may call from a page of elsewhere, and how much is borne. */
export interface HttpEnv {
  /** Origins as browsers send them, such as `https://shop.example`. */
  corsOrigins: readonly string[]
  /** From when on nothing new is taken; a limit of 0 is none. */
  shedding: { delayMs: number; heapPercent: number; memoryPercent: number }
  /** What the process may hold, in bytes; undefined: what its container has, or else the machine. */
  memoryBytes: number | undefined
  /** What Node was told by `NODE_OPTIONS`, where the size of the heap may be. */
  nodeOptions: string
}

export function readHttp(read: Reader, faults: string[]): HttpEnv {
  const corsOrigins = read.list('PARLEY_CORS_ORIGINS')
  if (!corsOrigins.every(isOrigin)) {
    faults.push(
      'PARLEY_CORS_ORIGINS has to be origins by comma, each in full and as browsers send it, such as https://shop.example; http only of this machine',
    )
  }
  const memoryMb = read.integer('PARLEY_MEMORY_MB', 0, 0, 100_000_000)
  return {
    corsOrigins,
    shedding: {
      delayMs: read.integer('PARLEY_SHED_DELAY_MS', 1000, 0, 60_000),
      heapPercent: read.integer('PARLEY_SHED_HEAP_PERCENT', 85, 0, 100),
      memoryPercent: read.integer('PARLEY_SHED_MEMORY_PERCENT', 90, 0, 100),
    },
    memoryBytes: memoryMb > 0 ? memoryMb * 1_048_576 : undefined,
    nodeOptions: read.text('NODE_OPTIONS') ?? '',
  }
}

function isOrigin(text: string): boolean {
  const { origin, protocol, hostname } = URL.parse(text) ?? {}
  if (!/^[\w.[\]:-]+$/.test(hostname ?? '')) return false
  const isLoopback = /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname ?? '')
  return origin === text && (protocol === 'https:' || (protocol === 'http:' && isLoopback))
}
