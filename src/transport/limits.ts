/** What the server takes from one client, as `GET /api/capabilities` shows it. */
export interface TransportLimits {
  bodyBytes: number
  /** Of a chat completion: whole histories, with images in them. */
  completionBodyBytes: number
  /** One chat message, UTF-8. */
  messageBytes: number
  headerBytes: number
  headerCount: number
  connections: number
  /** Until the headers of a request are complete. */
  headersTimeoutMs: number
  /** Until a request, its body included, has arrived. */
  requestTimeoutMs: number
  /** An idle connection is kept this long; above the idle time of common load balancers' back ends. */
  keepAliveTimeoutMs: number
  /** A stream that is silent gets a comment line at least this often. */
  heartbeatMs: number
  /** A reader whose connection takes nothing for this long is cut off. */
  slowConsumerMs: number
  websocket: WebSocketLimits
  runs: RunLimits
}

/** Of actions and their runs. */
export interface RunLimits {
  /** A request that holds arguments: one that runs an action, or approves a run with edits. */
  bodyBytes: number
  /** Objects and arrays of arguments within one another. */
  argumentsDepth: number
  /** Of a reason or a note. */
  reasonCharacters: number
  /** The longest wait for the end of a run within one request. */
  waitMs: number
}

/** Of `WS /ws/v1/…`; what is not here is as for all streams. */
export interface WebSocketLimits {
  connections: number
  /** One message, its fragments joined. */
  messageBytes: number
  callsPerSecond: number
  /** Calls at once after a pause. Further ones are refused; as many refusals again end the connection. */
  callBurst: number
  callsPerBatch: number
  /** Turns whose events one connection gets at a time. */
  turnsAtOnce: number
  slowConsumerMs: number
}

export const defaultLimits: TransportLimits = {
  bodyBytes: 1_048_576,
  completionBodyBytes: 10_485_760,
  messageBytes: 131_072,
  headerBytes: 16_384,
  headerCount: 100,
  connections: 50_000,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  heartbeatMs: 15_000,
  slowConsumerMs: 30_000,
  websocket: {
    connections: 10_000,
    messageBytes: 262_144,
    callsPerSecond: 20,
    callBurst: 40,
    callsPerBatch: 20,
    turnsAtOnce: 8,
    slowConsumerMs: 10_000,
  },
  runs: { bodyBytes: 262_144, argumentsDepth: 64, reasonCharacters: 500, waitMs: 60_000 },
}
