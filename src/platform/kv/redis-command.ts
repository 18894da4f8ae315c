import type { Call } from './engine.ts'
import { type Script, scriptOf } from './redis-script.ts'

/**
 * What ioredis asks of a command, less what its own `Command` costs: a call takes two thirds of the CPU, and half of what
 * its automatic pipelining takes (bench/state.ts). It does not write itself: the node writes all of a tick at once.
 */
export class RedisCommand {
  readonly name = 'evalsha'
  /** ioredis hangs these on its errors; content has no place there. */
  readonly args: readonly string[] = []
  readonly isTraced = true
  readonly inTransaction = false
  readonly pipelineIndex = undefined
  readonly promise = undefined
  readonly batch: Batch
  /** What was sent: a call, or what had to go before it. */
  readonly sent: RedisCall | Preface
  readonly #onAnswer: OnAnswer

  constructor(batch: Batch, sent: RedisCall | Preface, onAnswer: OnAnswer) {
    this.batch = batch
    this.sent = sent
    this.#onAnswer = onAnswer
  }

  resolve(reply: unknown): void {
    this.#onAnswer(this, undefined, reply)
  }

  reject(error: Error): void {
    this.#onAnswer(this, error, undefined)
  }

  setReplyContext(): void {}

  toWritable(): string {
    return ''
  }
}

type OnAnswer = (command: RedisCommand, error: Error | undefined, reply: unknown) => void

/** The commands that one tick sent. */
export interface Batch {
  sentAt: number
  left: number
}

/** A command that goes before a call; its success needs no notice. */
export interface Preface {
  bytes: Buffer
  onError: (error: Error) => void
}

/** A call with what it takes to send it, again if need be. */
export class RedisCall {
  readonly call: Call
  readonly script: Script
  /** Redirected once to a node that only takes it when asked to. */
  asking = false
  attempts = 0

  constructor(call: Call) {
    this.call = call
    this.script = scriptOf(call.operation)
  }
}

const frameBytes = 16

/** An upper bound of what `writeCall` writes. */
export function boundOf({ call }: RedisCall): number {
  let bound = 3 * frameBytes + 64
  for (const key of call.keys) bound += frameBytes + key.length
  for (const arg of call.args) {
    bound += frameBytes
    // 24: the longest number. A character has at most three bytes.
    bound += typeof arg === 'number' ? 24 : typeof arg === 'string' ? arg.length * 3 : arg.byteLength
  }
  return bound
}

/** EVALSHA in RESP, the text between the bodies joined so that it is written in few pieces. */
export function writeCall(out: Buffer, start: number, { call, script }: RedisCall): number {
  const { keys, args } = call
  let at = start
  let text = `*${keys.length + args.length + 3}\r\n$7\r\nEVALSHA\r\n$40\r\n${script.sha}\r\n${bulk(String(keys.length))}`
  for (const key of keys) text += bulk(key)
  for (const arg of args) {
    if (typeof arg === 'number') {
      text += bulk(String(arg))
    } else if (typeof arg === 'string') {
      const length = Buffer.byteLength(arg)
      text += `$${length}\r\n`
      if (length === arg.length) {
        text += `${arg}\r\n`
      } else {
        at += out.write(text, at, 'latin1')
        at += out.write(arg, at)
        text = '\r\n'
      }
    } else {
      text += `$${arg.byteLength}\r\n`
      at += out.write(text, at, 'latin1')
      out.set(arg, at)
      at += arg.byteLength
      text = '\r\n'
    }
  }
  return at + out.write(text, at, 'latin1')
}

export function encodeWords(words: readonly string[]): Buffer {
  const bulks = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  return Buffer.from(`*${words.length}\r\n${bulks.join('')}`)
}

function bulk(ascii: string): string {
  return `$${ascii.length}\r\n${ascii}\r\n`
}
