import { runCli } from '../../src/cli/cli.ts'
import type { Host } from '../../src/cli/command.ts'

export interface CliRun {
  code: number
  out: string
  err: string
}

/** Where nobody sits, nothing is piped in and nobody interrupts. */
export function quietHost(): Pick<Host, 'columns' | 'signal' | 'person' | 'input' | 'onInterrupt'> {
  return {
    columns: undefined,
    signal: new AbortController().signal,
    person: undefined,
    input: async () => '',
    onInterrupt: () => () => {},
  }
}

/** The command line in this process: what it writes, and what it ends with. */
export async function cliRun(url: string, token: string | undefined, args: readonly string[]): Promise<CliRun> {
  const result: CliRun = { code: 0, out: '', err: '' }
  result.code = await runCli([...args], {
    url,
    token,
    out: (text) => {
      result.out += Buffer.from(text).toString()
    },
    err: (text) => {
      result.err += text
    },
    ...quietHost(),
  })
  return result
}
