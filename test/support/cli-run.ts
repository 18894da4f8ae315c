import { runCli } from '../../src/cli/cli.ts'

export interface CliRun {
  code: number
  out: string
  err: string
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
    columns: undefined,
    signal: new AbortController().signal,
  })
  return result
}
