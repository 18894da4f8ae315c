import { installPackage, isExecutable, type Machine, onPath, thisMachine } from './debian-machine.ts'

/** The path of a Chromium: the one in the environment, one on PATH, or Debian's package (as root). */
export async function ensureChromium(machine: Machine = thisMachine()): Promise<string> {
  const given = machine.env.CHROMIUM_PATH
  if (given && (await isExecutable(given))) return given
  const found = given ? undefined : ((await present(machine)) ?? (await installed(machine)))
  if (found) return found
  throw new Error('The tests need Chromium: install it, or set CHROMIUM_PATH to the path of one (or of Chrome).')
}

async function present(machine: Machine): Promise<string | undefined> {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const path = await onPath(machine, name)
    if (path) return path
  }
  return undefined
}

async function installed(machine: Machine): Promise<string | undefined> {
  await installPackage(machine, 'chromium', 'Installing Chromium for the tests.')
  return present(machine)
}
