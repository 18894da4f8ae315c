#!/usr/bin/env node
// Started by whatever Node is there, so plain enough for an old one to read: the command itself runs on the Node that is installed
// with the packages, or on this one where it is new enough.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const installed = at('node_modules/.bin/node')
const [major] = process.versions.node.split('.')

if (Number(major) >= 26 || !existsSync(installed)) {
  await import('../require-node.mjs')
  await import('../src/cli/main.ts')
} else {
  const args = [at('src/cli/main.ts'), ...process.argv.slice(2)]
  const command = spawn(installed, args, { stdio: 'inherit' })
  // Ctrl-C in a terminal is told to both; anything else only to this one.
  const isAtTerminal = [0, 1, 2].some((stream) => isatty(stream))
  process.on('SIGINT', () => isAtTerminal || command.kill('SIGINT'))
  process.on('SIGTERM', () => command.kill('SIGTERM'))
  command.on('error', (error) => {
    process.stderr.write(`parley: ${error.message}\n`)
    process.exitCode = 1
  })
  command.on('exit', (code) => {
    process.exitCode = code ?? 1
  })
}
