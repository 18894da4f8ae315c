import type { ModelSpec, RouteSpec } from './schema.ts'

/** What is wrong with a document, and where. */
export interface Fault {
  path: (string | number)[]
  message: string
}

/** The part of a config version that `models/` answers for. */
export interface ModelsDocument {
  models: Readonly<Record<string, ModelSpec>>
  routes: Readonly<Record<string, RouteSpec>>
  /** What routes have to carry. */
  specialists?: Readonly<Record<string, { instructions: string; route: string; actions?: readonly string[] }>>
  actions?: Readonly<Record<string, { description: string; parameters: unknown }>>
}
