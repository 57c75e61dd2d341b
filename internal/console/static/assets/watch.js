// The watch page: follows the room's state, keeps the player alive through
// interruptions, shows what is going on.

import { follow } from "./state.js";
import { Player, playsFLV } from "./player.js";
import { controls } from "./controls.js";

const $ = (id) => document.getElementById(id);
const stage = $("stage"), video = $("video");
let room = JSON.parse($("first-state").textContent);
let clockOffset = Date.parse(room.serverTime) - Date.now();
let moving = false; // the picture changes
let lastTime = -1, lastMove = -Infinity;
let finished = false; // after the end: nothing is left to play
let finishBy = null; // when a show that ended is cut off at the latest
let gone = false;
let unplayable = null;

let lowDelay = false; // the viewer's wish

const player = new Player(video, () => render());
const ui = controls(stage, video, player);
const pollNow = follow(document.body.dataset.stateUrl, onState, () => { gone = true; player.close(); render(); });
globalThis.roomcast = { player, state: () => room }; // for the browser's console and for tests

function onState(state, offset) {
  room = state;
  clockOffset = offset;
  apply();
}

// The address that is played: HLS, unless low delay is wished or all there is.
function address() {
  const p = room.playback;
  if (p?.httpFlvURL && playsFLV() && (lowDelay || !p.hlsURL)) return p.httpFlvURL;
  return p?.hlsURL ?? p?.httpFlvURL;
}

function setLowDelay(on) {
  lowDelay = on;
  apply();
}

function apply() {
  const on = room.videoRoomState === "LIVE" || room.videoRoomState === "LIVE_INACTIVE";
  const url = address();
  if (on) {
    finished = false;
    finishBy = null;
    if (url) {
      const again = player.url === url && room.videoRoomState === "LIVE";
      try { player.open(url); unplayable = null; } catch (e) { unplayable = e.message; }
      if (again) player.nudge();
    } else if (room.playback) unplayable = "this room has no output that a browser plays";
  } else if (player.url && !finished) {
    // Viewers are some seconds behind: they see the show's end, except of one that was cut.
    if (room.endReason === "FORCED" || !moving) finish();
    else finishBy ??= performance.now() + 20000;
  }
  render();
}

function finish() {
  finished = true;
  finishBy = null;
  if (document.fullscreenElement) document.exitFullscreen();
  player.close();
  render();
}

$("low").addEventListener("click", () => setLowDelay(!lowDelay));
document.addEventListener("keydown", (e) => {
  if (e.key.toLowerCase() !== "d" || e.ctrlKey || e.metaKey || e.altKey || $("low").hidden || $("bar").hidden) return;
  setLowDelay(!lowDelay);
});

video.addEventListener("ended", () => { pollNow(); if (finishBy !== null) finish(); });
for (const name of ["waiting", "stalled"]) video.addEventListener(name, () => pollSoon());
let pollSoonTimer;
function pollSoon() { // a stall often means that the state has changed
  clearTimeout(pollSoonTimer);
  pollSoonTimer = setTimeout(() => { if (!moving) pollNow(); }, 800);
}

setInterval(() => {
  const now = performance.now();
  if (video.currentTime !== lastTime) { lastTime = video.currentTime; lastMove = now; }
  const was = moving;
  moving = player.url !== null && video.readyState >= 2 && (video.paused || now - lastMove < 700) && video.currentTime > 0;
  if (finishBy !== null && (!moving || now > finishBy)) finish();
  if (was !== moving) render();
  showDelay();
}, 250);

// [view, title, text]; "playing" has nothing over the picture.
function view() {
  if (gone) return ["ended", "This room is gone", "It was deleted while you were here."];
  switch (room.videoRoomState) {
    case "SCHEDULED": return ["scheduled", "Starts soon", startsAt()];
    case "CANCELLED": return ["ended", "This show was cancelled", "There is nothing to wait for."];
    case "LIVE":
      if (unplayable) return ["ended", "It cannot be played here", `Sorry, ${unplayable}.`];
      if (player.blocked) return ["waiting", "Press play to start", ""];
      if (moving) return ["playing"];
      return lastMove === -Infinity ? ["loading", "Connecting…", ""] : ["waiting", "Catching up…", ""];
    case "LIVE_INACTIVE":
      if (moving && !video.paused) return ["playing"];
      return ["interrupted", "The streamer will be right back", "Stay here, the picture returns by itself."];
    default: // ENDED, ARCHIVED
      if (player.url && !finished) return ["playing"];
      return ["ended", "The show has ended", ended()];
  }
}

function startsAt() {
  const at = room.scheduledAt && new Date(room.scheduledAt);
  const hint = "The picture appears here by itself.";
  if (!at || at - Date.now() - clockOffset < 60000) return hint;
  const day = at.toDateString() === new Date().toDateString() ? {} : { weekday: "long", day: "numeric", month: "long" };
  return `Planned for ${new Intl.DateTimeFormat(undefined, { ...day, hour: "numeric", minute: "2-digit" }).format(at)}. ${hint}`;
}

function ended() {
  if (room.endReason === "RECONNECT_TIMEOUT") return "The streamer did not come back. Thank you for watching.";
  if (room.videoRoomState === "ARCHIVED") return "The recording is saved. Thank you for watching.";
  return "Thank you for watching.";
}

const labels = { SCHEDULED: "Scheduled", LIVE: "Live", LIVE_INACTIVE: "Interrupted", ENDED: "Ended", ARCHIVED: "Ended", CANCELLED: "Cancelled" };
const write = (node, text) => { if (node.textContent !== text) node.textContent = text; }; // status regions speak when touched

function render() {
  const [name, title = "", text = ""] = view();
  stage.dataset.view = name;
  if (name !== "playing") { write($("cover-title"), title); write($("cover-text"), text); ui.wake(); }
  const goingOn = room.videoRoomState === "LIVE_INACTIVE" && name === "playing";
  $("banner").hidden = !goingOn;
  write($("banner"), goingOn ? "The connection to the streamer is interrupted" : "");
  $("bar").hidden = player.url === null || name === "ended";
  const label = gone ? "Gone" : labels[room.videoRoomState] ?? room.videoRoomState;
  write($("badge"), label);
  $("badge").dataset.state = gone ? "GONE" : room.videoRoomState;
  const heading = room.title ?? "Live room";
  write($("title"), heading);
  document.title = `${room.videoRoomState === "LIVE" ? "● " : ""}${heading} · roomcast`;
  const both = room.playback?.hlsURL && room.playback?.httpFlvURL && playsFLV();
  $("low").hidden = !both;
  $("low").setAttribute("aria-pressed", String(lowDelay));
  addresses();
  ui.refresh();
  showDelay();
}

let shownDelay = null;
function showDelay() {
  const at = moving && !video.paused ? player.playingDate() : null;
  const behind = at ? (Date.now() + clockOffset - at) / 1000 : null;
  const sane = behind !== null && behind > -1 && behind < 3600;
  // The eye wants a calm figure: it follows slowly, jumps are shown at once.
  shownDelay = !sane ? null : shownDelay === null || Math.abs(behind - shownDelay) > 1.5 ? behind : shownDelay * 0.8 + behind * 0.2;
  $("delay").hidden = shownDelay === null;
  if (shownDelay !== null) write($("delay"), `${Math.max(0, shownDelay).toFixed(1)} s behind live`);
  $("live").toggleAttribute("data-edge", room.videoRoomState === "LIVE" && shownDelay !== null && !atDistance());

  const since = room.liveStartedAt && (room.videoRoomState === "LIVE" || room.videoRoomState === "LIVE_INACTIVE");
  $("since").hidden = !since;
  if (since) {
    const s = Math.max(0, Math.floor((Date.now() + clockOffset - Date.parse(room.liveStartedAt)) / 1000));
    const two = (n) => String(n).padStart(2, "0");
    write($("since"), `on air for ${s >= 3600 ? `${Math.floor(s / 3600)}:` : ""}${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`);
  }
}

function atDistance() { // the viewer paused or stalled and is not at the live edge any more
  const live = player.hls?.liveSyncPosition;
  return live != null && live - video.currentTime > 4;
}

let shownAddresses = "";
function addresses() {
  const p = room.playback ?? {};
  const rows = [["HLS", p.hlsURL], ["DASH", p.dashURL], ["RTMP", p.rtmpURL], ["HTTP-FLV", p.httpFlvURL]].filter(([, url]) => url);
  const now = JSON.stringify(rows);
  if (now === shownAddresses) return;
  shownAddresses = now;
  $("elsewhere").hidden = rows.length === 0;
  $("addresses").replaceChildren(...rows.flatMap(([name, url]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd"), code = document.createElement("code"), copy = document.createElement("button");
    dt.textContent = name;
    code.textContent = url;
    dd.append(code);
    copy.type = "button";
    copy.textContent = "Copy";
    copy.setAttribute("aria-label", `Copy the ${name} address`);
    copy.hidden = !navigator.clipboard; // only on https and localhost
    copy.addEventListener("click", async () => { await navigator.clipboard.writeText(url); copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy"; }, 1500); });
    return [dt, dd, copy];
  }));
}

apply();
