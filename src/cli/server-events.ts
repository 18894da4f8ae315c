export interface ServerEvent {
  id: string | undefined
  type: string
  data: string
}

/** The events of a body in the format of server-sent events; comments are left out. */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const lines = block.split('\n')
      const fields = (name: string) =>
        lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2))
      const data = fields('data')
      if (data.length > 0) yield { id: fields('id')[0], type: fields('event')[0] ?? 'message', data: data.join('\n') }
    }
  }
}
