import { Ajv2020 } from 'ajv/dist/2020.js'
import { ConfigDocument } from './document.ts'
import type { Fault } from './fault.ts'
import { faultsOfSchema } from './schema-faults.ts'

const ajv = new Ajv2020({
  allErrors: true,
  verbose: true,
  formats: { uri: (text: string) => URL.canParse(text) },
  // At every start: that the schema is one is tested, and to make it faster takes longer than it ever saves.
  validateSchema: false,
  code: { optimize: false },
})
const validate = ajv.compile(ConfigDocument)

/** What does not have the shape of a config document. */
export function checkShape(value: unknown): Fault[] {
  validate(value)
  return faultsOfSchema(validate.errors ?? [])
}
