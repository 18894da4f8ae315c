import { hashOfJson } from '../../canonical-json.ts'

/** A tool as its server lists it; the rest of the listing is not looked at. */
export interface ListedTool {
  name: string
  description?: string
  inputSchema: unknown
  annotations?: unknown
}

/**
 * What `mcp.pin` names: SHA-256, hexadecimal, of the canonical JSON of all that a model, or whoever reviews the tool, goes by.
 * What the listing leaves out is left out here, too.
 */
export function toolHash({ name, description, inputSchema, annotations }: ListedTool): string {
  return hashOfJson({ name, description, inputSchema, annotations })
}
