import { parseArgs } from 'node:util'
import { auditCommands } from './audit-commands.ts'
import { chatCommand } from './chat-command.ts'
import { createClient } from './client.ts'
import type { Call, Command, Host } from './command.ts'
import { Cancelled, Misused, Refused, Stopped } from './faults.ts'
import { keyCommands } from './key-commands.ts'
import { plainText } from './plain-text.ts'
import { rolloutCommands } from './rollout-commands.ts'
import { shadowCommands } from './shadow-commands.ts'
import { usageCommands } from './usage-commands.ts'
import { versionCommands } from './version-commands.ts'

type Commands = Readonly<Record<string, Command>>

/** Commands of one word. */
const alone: Commands = { chat: chatCommand }

const areas: Readonly<Record<string, Commands>> = {
  config: { ...versionCommands, ...rolloutCommands, ...shadowCommands },
  audit: auditCommands,
  keys: keyCommands,
  usage: usageCommands,
}

/** What to do here about an error of the process. */
const HINTS: Readonly<Record<string, string>> = {
  unauthenticated: 'PARLEY_TOKEN is sent as bearer: an access token, or a Parley key.\n',
}

const HELP = ['help', '--help', '-h']

/**
 * Runs a command and gives its exit code: 0 done, 1 refused, 2 not given as it takes it; 130 cancelled by Ctrl-C, 143 by SIGTERM.
 */
export async function runCli(args: readonly string[], host: Host): Promise<number> {
  const isJson = args.includes('--json')
  try {
    const found = find(args)
    if ('areas' in found) return say(host, usage(found.areas))
    const { called, command, rest } = found
    if (rest.includes('--help') || rest.includes('-h'))
      return say(host, `${synopsisOf(called, command)}\n    ${command.summary}\n`)
    await command.run(callOf(called, command, rest, host))
    return 0
  } catch (error) {
    if (error instanceof Misused) {
      host.err(`parley: ${plainText(error.message)}\nparley --help lists the commands.\n`)
      return 2
    }
    if (error instanceof Cancelled) return 130
    if (host.signal.aborted) return host.signal.reason instanceof Stopped ? host.signal.reason.exitCode : 0
    if (!(error instanceof Refused)) throw error
    // One line, as it may follow lines.
    if (isJson) host.out(`${JSON.stringify(error.body)}\n`)
    else host.err(`parley: ${plainText(error.message)}\n${HINTS[error.code] ?? ''}`)
    return 1
  }
}

type Found = { called: string; command: Command; rest: readonly string[] } | { areas: readonly string[] }

/** The command that is meant, or the areas that somebody wants to know about. */
function find([area, ...given]: readonly string[]): Found {
  if (area === undefined || HELP.includes(area)) return { areas: [...Object.keys(alone), ...Object.keys(areas)] }
  const single = Object.hasOwn(alone, area) ? alone[area] : undefined
  if (single) return { called: area, command: single, rest: given }
  const commands = Object.hasOwn(areas, area) ? areas[area] : undefined
  if (!commands) {
    throw new Misused(`There is no ${area}; there is ${[...Object.keys(alone), ...Object.keys(areas)].join(', ')}.`)
  }
  const { name, rest } = named(commands, given)
  if (name === undefined || HELP.includes(name)) return { areas: [area] }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) throw new Misused(`There is no ${area} ${name}.`)
  return { called: `${area} ${name}`, command, rest }
}

/** Of one word, or of two where there is such a command. */
function named(
  commands: Commands,
  [name, ...rest]: readonly string[],
): { name: string | undefined; rest: readonly string[] } {
  const both = `${name} ${rest[0]}`
  return Object.hasOwn(commands, both) ? { name: both, rest: rest.slice(1) } : { name, rest }
}

function callOf(name: string, command: Command, args: readonly string[], host: Host): Call {
  const { values, positionals } = parse(args, command)
  const { operands } = command
  const least = operands.filter((operand) => !operand.startsWith('[')).length
  if (positionals.length < least || positionals.length > operands.length) {
    throw new Misused(`${name} takes ${operands.join(' ') || 'nothing'}, not ${positionals.length} of them.`)
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
  return ['parley', name, ...operands, flags].filter(Boolean).join(' ')
}

function usage(shown: readonly string[]): string {
  const lines = shown.flatMap((area) =>
    Object.entries(areas[area] ?? { '': alone[area] }).map(
      ([name, command]) =>
        command && `  ${synopsisOf([area, name].filter(Boolean).join(' '), command)}\n      ${command.summary}`,
    ),
  )
  return `Talk to a specialist; config versions and their rollout, keys for tools, what was spent, and what was done.

${lines.join('\n')}

Each takes --json. PARLEY_URL is the process that is asked (http://127.0.0.1:8080), PARLEY_TOKEN is sent as bearer.
Exit codes: 0 done, 1 refused, 2 not given as it takes it, 130 cancelled by Ctrl-C, 143 stopped by SIGTERM.
`
}
