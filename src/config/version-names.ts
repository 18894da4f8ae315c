const extensions = ['.yaml', '.yml', '.json']
const versionName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const natural = new Intl.Collator('en', { numeric: true })

export type ConfigFormat = 'yaml' | 'json'

export function isVersionName(name: string): boolean {
  return versionName.test(name)
}

/** Natural order: v9 before v10. */
export function compareVersions(a: string, b: string): number {
  return natural.compare(a, b) || (a < b ? -1 : Number(a > b))
}

/** Whether a blob is meant as a version, whatever is in it. */
export function isVersionFile(file: string): boolean {
  return !file.startsWith('.') && extensions.some((extension) => file.endsWith(extension))
}

export function versionOf(file: string): string {
  return file.slice(0, file.lastIndexOf('.'))
}

export function formatOf(file: string): ConfigFormat {
  return file.endsWith('.json') ? 'json' : 'yaml'
}

/** All under which a version may be there. */
export function filesOf(version: string): string[] {
  return extensions.map((extension) => `${version}${extension}`)
}
