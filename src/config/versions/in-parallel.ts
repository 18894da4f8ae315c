/** Does it for all, a few at a time; rejects, once those under way are done, with what the first one rejected with. */
export async function inParallel<Item>(
  atOnce: number,
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]()
  const lane = async () => {
    for (const item of rest) await work(item)
  }
  const lanes = await Promise.allSettled(Array.from({ length: atOnce }, lane))
  for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason
}
