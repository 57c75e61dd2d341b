// The player's buttons and keys.

const $ = (id) => document.getElementById(id);

export function controls(stage, video, player) {
  const set = (button, off, label, key) => {
    button.toggleAttribute("data-off", off);
    button.setAttribute("aria-label", label);
    button.title = `${label} (${key})`;
  };
  const refresh = () => {
    set($("play"), video.paused, video.paused ? "Play" : "Pause", "space");
    set($("mute"), video.muted, video.muted ? "Unmute" : "Mute", "m");
    $("volume").value = video.muted ? 0 : video.volume;
    $("unmute").hidden = !video.muted || stage.dataset.view !== "playing";
  };
  const act = {
    play: () => (video.paused ? player.play() : video.pause()),
    mute: () => { video.muted = !video.muted; if (!video.muted && video.volume === 0) video.volume = 1; },
    live: () => player.toLive(),
    full: () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else if (stage.requestFullscreen) stage.requestFullscreen();
      else video.webkitEnterFullscreen?.(); // iPhone
    },
    pip: () => (document.pictureInPictureElement ? document.exitPictureInPicture() : video.requestPictureInPicture()).catch(() => {}),
    louder: (by) => { video.muted = false; video.volume = Math.min(1, Math.max(0, video.volume + by)); },
  };
  for (const id of ["play", "mute", "live", "full", "pip"]) $(id).addEventListener("click", act[id]);
  $("pip").hidden = !document.pictureInPictureEnabled;
  $("unmute").addEventListener("click", () => { act.mute(); $("mute").focus({ preventScroll: true }); });
  $("volume").addEventListener("input", (e) => { video.volume = +e.target.value; video.muted = video.volume === 0; });
  video.addEventListener("click", (e) => { if (e.pointerType !== "touch") act.play(); });
  video.addEventListener("dblclick", act.full);
  for (const name of ["play", "pause", "volumechange", "playing"]) video.addEventListener(name, refresh);

  const keys = { " ": act.play, k: act.play, m: act.mute, f: act.full, l: act.live, p: act.pip,
    ArrowUp: () => act.louder(0.1), ArrowDown: () => act.louder(-0.1) };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || $("bar").hidden) return;
    const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
    // A focused button or slider keeps the keys that are its own.
    const own = e.target.closest?.("button, a, summary, input");
    if (own && (key === " " || key.startsWith("Arrow"))) return;
    if (!keys[key]) return;
    e.preventDefault();
    keys[key]();
    wake();
  });

  let sleep;
  const wake = () => {
    stage.classList.remove("idle");
    clearTimeout(sleep);
    sleep = setTimeout(() => { if (!video.paused && stage.dataset.view === "playing") stage.classList.add("idle"); }, 3000);
  };
  for (const name of ["pointermove", "pointerdown", "focusin"]) stage.addEventListener(name, wake);
  video.addEventListener("playing", wake);
  refresh();
  return { refresh, wake };
}
