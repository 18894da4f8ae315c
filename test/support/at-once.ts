/**
 * Whether it is settled by the next turn of the loop, before anything can have been waited for: how long that takes on the
 * clock says more of the machine.
 */
export async function isSettledAtOnce(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  )
  return Promise.race([settled, new Promise<boolean>((resolve) => setImmediate(resolve, false))])
}
