// A stock player with its default configuration, chosen by ?player=, playing
// ?url=. What measure.js asks for is in globalThis.harness.

const query = new URLSearchParams(location.search);
const url = query.get("url");
const video = document.getElementById("video");
const errors = [];
const note = (fatal, what) => { if (errors.length < 200) errors.push({ fatal, what: String(what).slice(0, 500) }); };
globalThis.harness = { errors: () => errors, latency: () => null };

function script(path) {
  return new Promise((resolve, reject) => {
    const s = document.createElement("script");
    s.src = path;
    s.onload = resolve;
    s.onerror = () => reject(new Error(`load ${path}`));
    document.head.append(s);
  });
}

const players = {
  async "hls.js"() {
    await script("node_modules/hls.js/dist/hls.min.js");
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, e) => note(e.fatal, `${e.details} ${e.response?.code ?? ""} ${e.error?.message ?? ""}`));
    harness.latency = () => (hls.playingDate ? (Date.now() - hls.playingDate) / 1000 : null);
    hls.loadSource(url);
    hls.attachMedia(video);
    await video.play();
  },
  async "dash.js"() {
    await script("node_modules/dashjs/dist/modern/umd/dash.all.min.js");
    const player = dashjs.MediaPlayer().create();
    // Code 16: no time server answered; it goes on with its own clock.
    player.on(dashjs.MediaPlayer.events.ERROR, (e) => note(e.error?.code !== 16, `${e.error?.code} ${e.error?.message ?? e.error}`));
    player.on(dashjs.MediaPlayer.events.PLAYBACK_ERROR, (e) => note(true, `playback ${e.error?.message ?? e.error}`));
    harness.latency = () => player.getCurrentLiveLatency();
    player.initialize(video, url, true);
  },
  async shaka() {
    await script("node_modules/shaka-player/dist/shaka-player.compiled.js");
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    player.addEventListener("error", (e) => note(e.detail.severity === 2, `shaka ${e.detail.code} ${JSON.stringify(e.detail.data)}`));
    harness.latency = () => { const d = player.getPlayheadTimeAsDate(); return d ? (Date.now() - d) / 1000 : null; };
    await player.attach(video);
    await player.load(url);
    await video.play();
  },
  async "mpegts.js"() {
    await script("node_modules/mpegts.js/dist/mpegts.js");
    const player = mpegts.createPlayer({ type: "flv", isLive: true, url }, { liveBufferLatencyChasing: true });
    player.on(mpegts.Events.ERROR, (type, detail, info) => note(true, `${type} ${detail} ${JSON.stringify(info)}`));
    player.attachMediaElement(video);
    player.load();
    await player.play();
  },
  async video() {
    video.crossOrigin = "anonymous"; // its pictures may be looked at
    video.src = url;
    await video.play();
  },
};

try {
  await players[query.get("player")]();
} catch (e) {
  note(true, e.code ? `${e.code} ${e.message ?? ""}` : e.message ?? e);
}
