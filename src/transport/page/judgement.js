import { call, load } from './turn-client.js'

const bar = document.getElementById('judgement')
const status = document.getElementById('status')
const buttons = ['up', 'down'].map((rating) => ({ rating, button: document.getElementById(rating) }))

/** The turn that is asked about. */
let asked

for (const { rating, button } of buttons) {
  button.addEventListener('click', async () => {
    const turn = asked
    try {
      await call('POST', `/api/v1/turns/${turn}/feedback`, { body: { rating } })
      status.textContent = ''
      if (asked === turn) show(rating)
    } catch {
      status.textContent = 'It could not be noted. Try again.'
    }
  })
}

/** Asks what the reader thinks of the last answer; of none when there is no turn. The last word counts. */
export function askAbout(turn, rating) {
  asked = turn
  bar.hidden = !turn
  show(rating)
}

/** The same for an answer of an earlier visit, which may have been judged. */
export async function askAgain(turn, isStill) {
  const { status, feedback } = await load(`/api/v1/turns/${turn}`)
  if (isStill() && status === 'completed') askAbout(turn, feedback?.rating)
}

function show(given) {
  for (const { rating, button } of buttons) button.setAttribute('aria-pressed', String(rating === given))
}
