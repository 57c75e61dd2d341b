// Runs in every page before its own scripts: watches the page's video element
// from outside, whichever player feeds it. Times are in seconds.
(() => {
  "use strict";
  const fresh = () => ({
    since: performance.now(), startupSeconds: null, playedSeconds: 0,
    stalls: 0, stalledSeconds: 0, longestStallSeconds: 0, jumps: [], holes: [], samples: [],
    stall: 0, baseDropped: 0, baseTotal: 0, errorsFrom: 0,
  });
  let m = fresh();
  let video = null, lastTime = 0, lastWall = performance.now(), lastSample = 0;
  const round = (x) => Math.round(x * 1000) / 1000;
  const mediaErrors = [];

  // What the player itself knows; the harness pages set it, the watch page has its own name.
  const known = () => globalThis.harness ?? (globalThis.roomcast && {
    latency: () => { const d = roomcast.player.playingDate(); return d ? (Date.now() - d) / 1000 : null; },
    // The watch page recovers: what it wrote down was fatal for hls.js, not for the viewer.
    errors: () => roomcast.player.errors.map((e) => ({ fatal: false, what: `${e.details} ${e.status ?? ""}`.trim() })),
    state: () => `${roomcast.state().videoRoomState} ${document.getElementById("stage").dataset.view}`,
  }) ?? {};

  function endStall() {
    if (m.stall >= 0.1) {
      m.stalls++;
      m.stalledSeconds += m.stall;
      m.longestStallSeconds = Math.max(m.longestStallSeconds, m.stall);
    }
    m.stall = 0;
  }

  setInterval(() => {
    const found = document.querySelector("video");
    if (!found) return;
    if (found !== video) {
      video = found;
      video.addEventListener("error", () => mediaErrors.push({ fatal: true, what: `video element: ${video.error?.message || video.error?.code}` }));
    }
    const wall = performance.now(), time = video.currentTime;
    const dWall = (wall - lastWall) / 1000, dTime = time - lastTime;
    lastWall = wall;
    lastTime = time;
    if (m.startupSeconds === null) {
      if (dTime > 0 && dTime < 0.5 && !video.seeking) m.startupSeconds = (wall - m.since) / 1000;
      return;
    }
    if (video.paused || video.ended) { m.stall = 0; return; }
    const moved = dTime < 0 || dTime > dWall * 1.6 + 0.05; // not played: somebody moved the position
    if (moved) {
      // What was played between the last look and the jump is not known; it is no more than dWall.
      m.jumps.push({ from: round(time - dTime + Math.min(dWall, Math.max(0, dTime))), to: round(time) });
      if (m.jumps.length > 100) m.jumps.shift();
    }
    if (dTime === 0 || video.seeking) { // a seek may take longer than until the next look
      m.stall += dWall;
    } else {
      if (!moved) {
        m.playedSeconds += dTime;
        if (m.stall > 0) m.stall += Math.max(0, dWall - dTime);
      }
      endStall();
    }
    for (let i = 1; i < video.buffered.length; i++) {
      const from = round(video.buffered.end(i - 1)), to = round(video.buffered.start(i));
      if (to > time && !m.holes.some((h) => h.from === from)) m.holes.push({ from, to });
      if (m.holes.length > 100) m.holes.shift();
    }
    if (wall - lastSample >= 1000) {
      lastSample = wall;
      m.samples.push({ atMs: Date.now(), currentTime: round(time), latencySeconds: latency(), frame: frameNumber() });
      if (m.samples.length > 600) m.samples.shift();
    }
  }, 50);

  function latency() {
    try { const l = known().latency?.(); return Number.isFinite(l) ? round(l) : null; } catch { return null; }
  }

  // The frame number in the picture of the built-in sample: the geometry is
  // that of internal/mediatest/framecode.go.
  const canvas = document.createElement("canvas");
  canvas.width = 854;
  canvas.height = 24;
  function frameNumber() {
    if (!video || video.readyState < 2 || !video.videoWidth) return null;
    const g = canvas.getContext("2d", { willReadFrequently: true });
    const w = video.videoWidth, h = video.videoHeight;
    g.drawImage(video, 0, h * 430 / 480, w, h * 24 / 480, 0, 0, 854, 24);
    let row;
    try { row = g.getImageData(0, 12, 854, 1).data; } catch { return null; }
    const cell = (i) => { const v = row[(48 + 10 + 24 * i) * 4 + 1]; return v > 160 ? 1 : v < 96 ? 0 : NaN; };
    let n = 0, parity = 0;
    for (let i = 0; i < 10; i++) { n = n * 2 + cell(i + 2); parity ^= cell(i + 2); }
    const good = cell(0) === 1 && cell(1) === 0 && cell(13) === 1 && n === n && cell(12) === parity;
    return good ? n : null;
  }

  const quality = () => video?.getVideoPlaybackQuality?.() ?? { droppedVideoFrames: 0, totalVideoFrames: 0 };
  const errors = () => [...(known().errors?.() ?? []), ...mediaErrors];

  globalThis.measured = () => {
    const stall = m.stall >= 0.1 ? m.stall : 0; // the one that goes on counts as well
    const q = quality();
    return {
      measuredSeconds: round((performance.now() - m.since) / 1000),
      started: m.startupSeconds !== null,
      startupSeconds: round(m.startupSeconds ?? 0),
      playedSeconds: round(m.playedSeconds),
      currentTime: round(video?.currentTime ?? 0),
      paused: video?.paused ?? true,
      ended: video?.ended ?? false,
      stalls: m.stalls + (stall ? 1 : 0),
      stalledSeconds: round(m.stalledSeconds + stall),
      longestStallSeconds: round(Math.max(m.longestStallSeconds, stall)),
      jumps: m.jumps, holes: m.holes,
      droppedFrames: Math.max(0, q.droppedVideoFrames - m.baseDropped),
      totalFrames: Math.max(0, q.totalVideoFrames - m.baseTotal),
      width: video?.videoWidth ?? 0, height: video?.videoHeight ?? 0,
      latencySeconds: latency(), frame: frameNumber(), atMs: Date.now(),
      samples: m.samples,
      errors: errors().slice(m.errorsFrom),
      state: known().state?.() ?? "",
    };
  };

  globalThis.measureAgain = () => {
    const q = quality();
    m = { ...fresh(), baseDropped: q.droppedVideoFrames, baseTotal: q.totalVideoFrames, errorsFrom: errors().length };
  };
})();
