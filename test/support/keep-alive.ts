/**
 * How long servers of tests keep a connection that nobody uses, ms: Node's five seconds can be over just as the next request is
 * on its way, and one that must not be repeated fails then.
 */
export const keepAliveTimeout = 120_000
