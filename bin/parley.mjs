#!/usr/bin/env node
// Started by whatever Node is there, so plain enough for an old one to read: the command itself runs on the Node that is installed
// with the packages, or on this one where it is new enough.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
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
  // From a terminal both are told; from elsewhere only this one is.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => command.kill(signal))
  command.on('error', (error) => {
    process.stderr.write(`parley: ${error.message}\n`)
    process.exitCode = 1
  })
  command.on('exit', (code) => {
    process.exitCode = code ?? 1
  })
}
