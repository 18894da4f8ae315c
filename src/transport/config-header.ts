import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'

/** The config version that the caller picks instead of the one that it would get; who may is the chat's to say. */
export function pickedVersion({ headers }: Pick<FastifyRequest, 'headers'>): { version?: string } {
  const given = headers['x-parley-config']
  return given === undefined ? {} : { version: String(given) }
}

/** Tells which version serves a request, and its arm. */
export function servedHeaders({ config, arm }: { config: string; arm: string }) {
  return { 'x-parley-config': config, 'x-parley-arm': arm }
}

export const pickHeader = {
  'x-parley-config': Type.Optional(
    Type.String({ description: 'The config version to be served from. For Config.Operator and Admin; not counted.' }),
  ),
}

export const servedHeaderDocs = {
  'x-parley-config': { type: 'string', description: 'The config version that serves it.' },
  'x-parley-arm': { type: 'string', enum: ['stable', 'canary'], description: 'Which side of a rollout that is.' },
}
