import { parseArgs } from 'node:util'
import { createClient } from './client.ts'
import type { Call, Command, Host } from './command.ts'
import { Misused, Refused } from './faults.ts'
import { rolloutCommands } from './rollout-commands.ts'
import { versionCommands } from './version-commands.ts'

const commands: Record<string, Command> = { ...versionCommands, ...rolloutCommands }

/** Runs a command and gives its exit code: 0 done, 1 refused, 2 not given as it takes it. */
export async function runCli(args: readonly string[], host: Host): Promise<number> {
  const isJson = args.includes('--json')
  try {
    const [area, name, ...rest] = args
    if (area === undefined || ['help', '--help', '-h'].includes(area)) return say(host, usage())
    if (area !== 'config') throw new Misused(`There is no ${area}; there is config.`)
    if (name === undefined || ['help', '--help', '-h'].includes(name)) return say(host, usage())
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (!command) throw new Misused(`There is no config ${name}.`)
    if (rest.includes('--help') || rest.includes('-h'))
      return say(host, `${synopsisOf(name, command)}\n    ${command.summary}\n`)
    await command.run(callOf(name, command, rest, host))
    return 0
  } catch (error) {
    if (error instanceof Misused) {
      host.err(`parley: ${error.message}\nparley config --help lists the commands.\n`)
      return 2
    }
    if (host.signal.aborted) return 0
    if (!(error instanceof Refused)) throw error
    if (isJson) host.out(`${JSON.stringify(error.body, null, 2)}\n`)
    else host.err(`parley: ${error.message}\n`)
    return 1
  }
}

function callOf(name: string, command: Command, args: readonly string[], host: Host): Call {
  const { values, positionals } = parse(args, command)
  const { operands } = command
  if (positionals.length !== operands.length) {
    throw new Misused(`config ${name} takes ${operands.join(' ') || 'nothing'}, not ${positionals.length} of them.`)
  }
  const given = (option: string) => values[option]
  return {
    client: createClient(host),
    host,
    operand: (index) => positionals[index] ?? '',
    flag: (option) => given(option) === true,
    text: (option) => [given(option)].flat().find((value) => typeof value === 'string'),
    list: (option) => [given(option)].flat().filter((value) => typeof value === 'string'),
    show: (value, forPeople) => host.out(given('json') === true ? `${JSON.stringify(value, null, 2)}\n` : forPeople()),
  }
}

function parse(
  args: readonly string[],
  { options }: Command,
): { values: Record<string, unknown>; positionals: string[] } {
  try {
    const all = { ...options, json: { type: 'boolean' as const } }
    return parseArgs({ args: [...args], options: all, allowPositionals: true })
  } catch (error) {
    throw new Misused((error as Error).message)
  }
}

function say(host: Host, text: string): number {
  host.out(text)
  return 0
}

function synopsisOf(name: string, { operands, flags }: Command): string {
  return ['parley config', name, ...operands, flags].filter(Boolean).join(' ')
}

function usage(): string {
  const lines = Object.entries(commands).map(
    ([name, command]) => `  ${synopsisOf(name, command)}\n      ${command.summary}`,
  )
  return `Config versions and their rollout.

${lines.join('\n')}

Each takes --json. PARLEY_URL is the process that is asked (http://127.0.0.1:8080), PARLEY_TOKEN is sent as bearer.
Exit codes: 0 done, 1 refused, 2 not given as it takes it.
`
}
