import type { HttpExecutorSpec } from '#config/action-spec.ts'
import type { Fault } from '#config/fault.ts'
import { bodyNames } from '../../templates/body-template.ts'
import { namesIn } from '../../templates/placeholder.ts'
import { clearTextFault } from '../in-clear.ts'
import { headerNameFault, isHeaderText } from './header-template.ts'
import { parseUrl } from './url-template.ts'

type Schema = Readonly<Record<string, unknown>>

/** What is wrong with a call as a version writes it; paths begin below `http`. */
export function checkHttp(http: HttpExecutorSpec, parameters: Schema, permits: (url: URL) => boolean): Fault[] {
  const { method, url, headers = {}, body, dryRun, onBehalfOf } = http
  const faults = [
    ...checkUrl(['url'], url, parameters, permits),
    ...(dryRun ? checkUrl(['dryRun', 'url'], dryRun.url, parameters, permits) : []),
    ...checkHeaders(headers, parameters),
    ...bodyNames(body).flatMap(({ name, path }) => checkName(['body', ...path], name, parameters)),
  ]
  for (const text of onBehalfOf === undefined ? [] : [url, ...(dryRun ? [dryRun.url] : [])]) {
    const template = parseUrl(text)
    const message = typeof template === 'string' ? undefined : clearTextFault(template.origin)
    if (message !== undefined) faults.push({ path: ['onBehalfOf'], message })
  }
  if (method === 'GET' && body !== undefined) faults.push({ path: ['body'], message: 'a GET has none' })
  return faults
}

function checkUrl(path: Fault['path'], text: string, parameters: Schema, permits: (url: URL) => boolean): Fault[] {
  const template = parseUrl(text)
  if (typeof template === 'string') return [{ path, message: template }]
  const { origin, segments, pairs } = template
  const inPath = segments.flatMap(namesIn)
  const faults = [...inPath, ...pairs.flatMap(namesIn)].flatMap((name) => checkName(path, name, parameters))
  const required = Array.isArray(parameters.required) ? parameters.required : []
  for (const name of inPath) {
    if (!isArgument(name, parameters) || required.includes(name)) continue
    faults.push({ path, message: `the argument "${name}" is part of the path, so it has to be required` })
  }
  if (permits(origin)) return faults
  const message = `the environment does not permit the host ${origin.host} (PARLEY_EGRESS_HOSTS)`
  return [...faults, { path, message }]
}

function checkHeaders(headers: Readonly<Record<string, string>>, parameters: Schema): Fault[] {
  const seen = new Set<string>()
  return Object.entries(headers).flatMap(([name, text]) => {
    const path = ['headers', name]
    const faults = namesIn(text).flatMap((argument) => checkName(path, argument, parameters))
    const wrong = headerNameFault(name)
    if (wrong) faults.push({ path, message: wrong })
    if (!isHeaderText(text)) faults.push({ path, message: 'must be printable ASCII' })
    if (seen.has(name.toLowerCase())) faults.push({ path, message: 'is there twice' })
    seen.add(name.toLowerCase())
    return faults
  })
}

function checkName(path: Fault['path'], name: string, parameters: Schema): Fault[] {
  if (isArgument(name, parameters)) return []
  return [{ path, message: `the placeholder {${name}} is no property of the parameters` }]
}

function isArgument(name: string, { properties }: Schema): boolean {
  return typeof properties === 'object' && properties !== null && Object.hasOwn(properties, name)
}
