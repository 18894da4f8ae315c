import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { startEntraApp } from '../entra-app.ts'
import { type Document, documentBreaks, movesMajor } from './document-breaks.ts'

export const publishedAt = new URL('../../../docs/openapi.json', import.meta.url)

/** The document as the whole app serves it where browsers sign in, which is all there is, as text. */
export async function servedDocument(): Promise<string> {
  await using app = await startEntraApp()
  const headers = await app.as({ oid: 'reader' })
  const response = await fetch(`${app.url}/openapi.json`, { headers })
  return `${JSON.stringify(await response.json(), null, 2)}\n`
}

/** What a client of `before` would trip over in `after`; nothing when the version says that it may. */
export function brokenPromises(before: string, after: string): string[] {
  const [old, now]: [Document, Document] = [JSON.parse(before), JSON.parse(after)]
  return movesMajor(old.info.version, now.info.version) ? [] : documentBreaks(old, now)
}

/** Writes `docs/openapi.json`, unless it would break clients of the one that is there. */
if (import.meta.main) {
  const served = await servedDocument()
  const broken = existsSync(publishedAt) ? brokenPromises(readFileSync(publishedAt, 'utf8'), served) : []
  if (broken.length > 0) {
    process.stderr.write(
      `This breaks clients; take it back, or move the version in document.ts:\n${broken.join('\n')}\n`,
    )
    process.exitCode = 1
  } else {
    writeFileSync(publishedAt, served)
  }
}
