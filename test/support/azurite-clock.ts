/** Loaded into Azurite before itself: a clock that its parent may turn on, since no lease is shorter than 15 seconds. */
const Real = Date
let offsetMs = 0

globalThis.Date = new Proxy(Real, {
  construct: (target, given) => Reflect.construct(target, given.length > 0 ? given : [Real.now() + offsetMs]),
  get: (target, key) => (key === 'now' ? () => Real.now() + offsetMs : Reflect.get(target, key)),
})

process.on('message', (message) => {
  if (typeof message !== 'number') return
  offsetMs += message
  process.send?.('turned on')
})
