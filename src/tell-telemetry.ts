import type { Events } from '#events/events.ts'
import type { Telemetry } from '#telemetry/telemetry.ts'

/** Facts, as much of them as telemetry is told. */
export function tellTelemetry(events: Events, telemetry: Telemetry): void {
  events.on('turn.ended', (turn) => telemetry.turnEnded(turn.turn, { ...turn, addressee: turn.specialist }))
  events.on('relay.ended', (relay) => telemetry.relayEnded(relay))
  events.on('run.settled', (run) => telemetry.runSettled(`${run.run} ${run.settledAt}`, run))
}
