import { Session } from 'node:inspector/promises'

const SHOWN = 160

/** The timers that keep this process alive, each with its time in ms and the beginning of what it would call. */
export async function waitingTimers(): Promise<string[]> {
  const session = new Session()
  session.connect()
  const { result: prototype } = await session.post('Runtime.evaluate', {
    expression:
      '(() => { const timer = setTimeout(() => {}); clearTimeout(timer); return Object.getPrototypeOf(timer) })()',
  })
  const { objects } = await session.post('Runtime.queryObjects', { prototypeObjectId: String(prototype.objectId) })
  const { result } = await session.post('Runtime.callFunctionOn', {
    objectId: objects.objectId,
    functionDeclaration: `function () {
      return this.filter((timer) => !timer._destroyed && timer.hasRef()).map((timer) =>
        timer._idleTimeout + ' ms: ' + String(timer._onTimeout).replace(/\\s+/g, ' ').slice(0, ${SHOWN}))
    }`,
    returnByValue: true,
  })
  session.disconnect()
  return Array.isArray(result.value) ? result.value : []
}
