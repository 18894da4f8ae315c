import { type BrowserContext, type BrowserContextOptions, chromium } from 'playwright-core'
import { ensureChromium } from './ensure-chromium.ts'

export interface TestBrowser extends AsyncDisposable {
  /** A window of its own. What its pages write to their console, or fail to load, is gathered in `complaints`. */
  open(options?: BrowserContextOptions): Promise<{ context: BrowserContext; complaints: string[] }>
}

/** That of a whole test, nearly: what did not come can still be named. */
const patienceMs = 110_000

const quiet = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A real Chromium without a window, with a profile that is thrown away. */
export async function startBrowser(): Promise<TestBrowser> {
  const executablePath = await ensureChromium()
  // Chromium has no sandbox for root.
  const chromiumSandbox = process.getuid?.() !== 0
  const browser = await chromium.launch({ executablePath, chromiumSandbox, args: quiet, timeout: patienceMs })
  return {
    async open(options) {
      const context = await browser.newContext(options)
      context.setDefaultTimeout(patienceMs)
      const complaints: string[] = []
      context.on('console', (message) => complaints.push(message.text()))
      context.on('weberror', (error) => complaints.push(String(error.error())))
      return { context, complaints }
    },
    [Symbol.asyncDispose]: () => browser.close(),
  }
}
