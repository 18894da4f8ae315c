import { startedBy } from './run-processes.ts'

/** All of our environment that a process of Parley gets which has to start as if from nothing. */
export function nodeVariables(): Record<string, string> {
  const { PATH = '', NODE_COMPILE_CACHE = '', [startedBy]: run = '' } = process.env
  return { PATH, NODE_COMPILE_CACHE, [startedBy]: run }
}
