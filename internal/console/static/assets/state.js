// Follows the room's state: polls, backs off while the server does not answer,
// never gives up while the room can still change.

const pause = { SCHEDULED: 2000, LIVE: 3000, LIVE_INACTIVE: 2000, ENDED: 30000 };

/**
 * Calls onState(state, clockOffsetMs) for every answer and onGone() once the
 * room is no longer there. clockOffsetMs is server clock minus own clock.
 * Returns a function that polls at once.
 */
export function follow(url, onState, onGone) {
  let timer, failures = 0, running = false, again = false;

  async function poll() {
    if (running) { again = true; return; }
    running = true;
    clearTimeout(timer);
    let next = null;
    try {
      next = await ask();
      failures = 0;
    } catch {
      next = Math.min(1000 * 2 ** failures++, 15000);
    }
    running = false;
    if (again) { again = false; next = next === null ? null : 0; }
    // A little noise keeps viewers from asking all at once after an outage.
    if (next !== null) timer = setTimeout(poll, next * (0.9 + 0.2 * Math.random()));
  }

  async function ask() {
    const sent = Date.now();
    const answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (answer.status === 404) { onGone(); return null; }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const state = await answer.json();
    onState(state, Date.parse(state.serverTime) - (sent + Date.now()) / 2);
    return pause[state.videoRoomState] ?? null; // ARCHIVED and CANCELLED never change
  }

  addEventListener("online", poll);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
  timer = setTimeout(poll, 0);
  return poll;
}
