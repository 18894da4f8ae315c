import { genAi, seconds, tokens } from './gen-ai.ts'

/** What a metric is; `docs/telemetry.md` has a row for each. */
export interface Metric {
  kind: 'counter' | 'histogram' | 'gauge' | 'observed-counter'
  unit: string
  description: string
  boundaries?: number[]
}

const chunkSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5]
const firstTokenMs = [25, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600]
const interTokenMs = [1, 2.5, 5, 10, 25, 50, 75, 100, 150, 200, 300, 500, 1000]
const perSecond = [1, 5, 10, 20, 40, 60, 80, 100, 150, 200, 400, 800]
const turnSeconds = [...seconds, 163.84, 327.68, 900]

/** Every metric there is, by its name in OpenTelemetry. Recorded ones first, then what is looked at when they are asked for. */
export const catalogue = {
  [genAi.duration]: histogram('s', 'Calls of models, from opening to end.', seconds),
  [genAi.timeToFirstChunk]: histogram('s', 'From the opening of a call to its first content.', chunkSeconds),
  [genAi.timePerOutputChunk]: histogram('s', 'Mean time per output token after the first, of each call.', chunkSeconds),
  [genAi.tokenUsage]: histogram('{token}', 'Tokens of each call.', tokens),
  ai_first_token_duration_ms: histogram('ms', 'From the start of a turn to its first visible text.', firstTokenMs),
  ai_inter_token_duration_ms: histogram('ms', 'Mean time between two tokens of a call.', interTokenMs),
  ai_tokens_per_second: histogram('{token}/s', 'Speed of each call after its first token.', perSecond),
  ai_tokens_total: counter('{token}', 'Tokens of all calls, failed and cancelled ones too.'),
  ai_cost_total: counter('{USD}', 'Cost of all calls, by the prices of the config version.'),
  parley_turns_total: counter('{turn}', 'Turns, and requests that were passed through, by how they ended.'),
  parley_turn_duration_seconds: histogram('s', 'Turns from start to end, waiting for actions included.', turnSeconds),
  parley_runs_settled_total: counter('{run}', 'Runs that came to rest, by action and status.'),

  parley_runs: gauge('{run}', 'Runs that are not at rest, and those that wait for a person, by status.'),
  parley_runs_oldest_age_seconds: gauge('s', 'How long the longest of them has had its status.'),
  parley_broker_dead_letters: gauge('{message}', 'Messages that the broker gave up, up to 100.'),
  parley_broker_dead_letters_oldest_age_seconds: gauge('s', 'How long ago the oldest of them was sent.'),
  parley_live_turns: gauge('{turn}', 'Turns and passed-through requests under way on this replica.'),
  parley_open_streams: gauge('{stream}', 'Event streams that this replica serves.'),
  parley_shedding: gauge('1', '1 for what keeps this replica from taking anything new.'),
  parley_shed_total: observedCounter('{request}', 'Requests and calls that were refused for that.'),
  parley_alerts_total: observedCounter('{alert}', 'Alerts that were raised, by severity and kind.'),
  parley_alert_deliveries_total: observedCounter('{delivery}', 'Attempts to tell of them, by channel and outcome.'),
  parley_model_circuit: gauge('1', '1 for the state that the circuit of a model is in.'),
  parley_model_calls_active: gauge('{call}', 'Calls of a model under way.'),
  parley_model_calls_queued: gauge('{call}', 'Calls that wait for a place at a model.'),
  parley_model_failovers_total: observedCounter('{failover}', 'Times another model took over from this one.'),
  parley_rollout_verdict: gauge('1', '1 for what the figures of a live rollout say; 0 for all without one.'),
  parley_dependency_up: gauge('1', '1 while the dependency is in reach.'),
  parley_event_loop_delay_seconds: gauge('s', 'How late the event loop was since the last look.'),
  process_resident_memory_bytes: gauge('By', 'Memory that the process holds.'),
  nodejs_heap_used_bytes: gauge('By', 'Memory of JavaScript objects.'),
  process_cpu_seconds_total: observedCounter('s', 'Time on processors, of user and system together.'),
} as const satisfies Record<string, Metric>

export type MetricName = keyof typeof catalogue

function histogram(unit: string, description: string, boundaries: number[]) {
  return { kind: 'histogram' as const, unit, description, boundaries }
}

function counter(unit: string, description: string) {
  return { kind: 'counter' as const, unit, description }
}

function gauge(unit: string, description: string) {
  return { kind: 'gauge' as const, unit, description }
}

function observedCounter(unit: string, description: string) {
  return { kind: 'observed-counter' as const, unit, description }
}
