// Plays one HLS or HTTP-FLV address into a video element and does not let go of it: every
// fatal error is recovered with a growing pause, until close().

const config = {
  // Fragmented MP4 needs no transmuxing: a worker would only copy it.
  enableWorker: false,
  // Two segments behind the playlist's end instead of three, and one second
  // more after each stall. Who is farther behind plays up to 8 % faster; who
  // is more than five segments behind jumps.
  liveSyncDurationCount: 2,
  liveSyncOnStallIncrease: 1,
  liveMaxLatencyDurationCount: 5,
  maxLiveSyncPlaybackRate: 1.08,
  backBufferLength: 30,
  maxBufferLength: 20,
  // Holes of the reorder delay at a discontinuity are jumped over at once.
  maxBufferHole: 0.25,
  detectStallWithCurrentTimeMs: 500,
};

// HTTP-FLV: what arrives is played, 0.4 s behind at most; who is farther behind
// plays faster, and jumps from 1.2 s on (docs/bench/play.md).
const low = {
  enableWorker: false, enableStashBuffer: false, lazyLoad: false, autoCleanupSourceBuffer: true,
  liveSync: true, liveSyncMaxLatency: 0.4, liveSyncTargetLatency: 0.25, liveSyncPlaybackRate: 1.15,
  liveBufferLatencyChasing: true, liveBufferLatencyChasingOnPaused: false,
  liveBufferLatencyMaxLatency: 1.2, liveBufferLatencyMinRemain: 0.4,
};

/** Whether this browser plays HTTP-FLV. */
export const playsFLV = () => globalThis.mpegts?.getFeatureList().mseLivePlayback ?? false;

const patient = (firstByte) => ({
  default: {
    maxTimeToFirstByteMs: firstByte, maxLoadTimeMs: 20000,
    timeoutRetry: { maxNumRetry: 4, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: { maxNumRetry: 8, retryDelayMs: 500, maxRetryDelayMs: 4000 },
  },
});

export class Player {
  /** onChange() is called whenever blocked or failing may have changed. */
  constructor(video, onChange) {
    this.video = video;
    this.onChange = onChange;
    this.url = null;
    this.hls = null;
    this.flv = null;
    this.errors = []; // the fatal ones that were recovered, newest last, at most 50
    this.blocked = false; // the browser wants a gesture before it plays even muted
    this.failures = 0;
    this.lastRecovery = 0;
    video.addEventListener("playing", () => { this.blocked = false; this.failures = 0; onChange(); });
  }

  open(url) {
    if (this.url === url) return;
    this.close();
    this.url = url;
    if (/\.flv$/.test(new URL(url, location.href).pathname)) {
      if (!playsFLV()) throw new Error("this browser plays no HTTP-FLV");
      this.#openFLV();
    } else if (globalThis.Hls?.isSupported()) this.#openHls();
    else if (this.video.canPlayType("application/vnd.apple.mpegurl")) this.#openNative();
    else throw new Error("this browser plays no HLS");
    this.play();
  }

  #openHls() {
    const Hls = globalThis.Hls;
    const hls = this.hls = new Hls({
      ...config,
      manifestLoadPolicy: patient(8000), playlistLoadPolicy: patient(8000), fragLoadPolicy: patient(8000),
    });
    hls.on(Hls.Events.ERROR, (_, e) => { if (e.fatal) this.#recover(hls, e); });
    hls.on(Hls.Events.MANIFEST_PARSED, (_, { levels }) => {
      if (levels.length < 2) return;
      // Who is to change to another rendition in time stays as far behind as the playlists want.
      delete hls.userConfig.liveSyncDurationCount;
      hls.config.liveMaxLatencyDurationCount = 7;
    });
    hls.loadSource(this.url);
    hls.attachMedia(this.video);
  }

  #recover(hls, e) {
    this.errors.push({ type: e.type, details: e.details, status: e.response?.code ?? null, at: Date.now() });
    if (this.errors.length > 50) this.errors.shift();
    const wait = Math.min(500 * 2 ** this.failures++, 8000);
    this.onChange();
    setTimeout(() => {
      if (this.hls !== hls) return;
      if (e.type === Hls.ErrorTypes.MEDIA_ERROR && Date.now() - this.lastRecovery > 5000) {
        this.lastRecovery = Date.now();
        hls.recoverMediaError();
      } else if (e.type === Hls.ErrorTypes.NETWORK_ERROR && hls.levels?.length) {
        hls.startLoad(-1);
      } else { // no manifest yet, or the same media error again: from the beginning
        hls.destroy();
        this.#openHls();
      }
      this.play();
    }, wait);
  }

  #openFLV() {
    const mpegts = globalThis.mpegts;
    mpegts.LoggingControl.enableAll = false;
    const flv = this.flv = mpegts.createPlayer({ type: "flv", isLive: true, cors: true, url: this.url }, low);
    const again = (type, details, info) => {
      if (this.flv !== flv) return;
      this.errors.push({ type, details, status: info?.code ?? null, at: Date.now() });
      if (this.errors.length > 50) this.errors.shift();
      const wait = Math.min(500 * 2 ** this.failures++, 8000);
      this.onChange();
      setTimeout(() => { if (this.flv === flv) { this.#closeFLV(); this.#openFLV(); this.play(); } }, wait);
    };
    flv.on(mpegts.Events.ERROR, again);
    flv.on(mpegts.Events.LOADING_COMPLETE, () => again("NetworkError", "the server has ended the stream"));
    flv.attachMediaElement(this.video);
    flv.load();
  }

  #closeFLV() {
    const flv = this.flv;
    this.flv = null;
    flv?.destroy();
  }

  #openNative() {
    this.video.src = this.url;
    this.onNativeError = () => {
      const wait = Math.min(500 * 2 ** this.failures++, 8000);
      this.onChange();
      setTimeout(() => { if (this.url && !this.hls && !this.flv) { this.video.src = this.url; this.play(); } }, wait);
    };
    this.video.addEventListener("error", this.onNativeError);
  }

  /** The interruption is over: what waits out a back-off tries now. */
  nudge() {
    if (this.hls?.levels?.length && this.failures) this.hls.startLoad(-1);
    if (this.flv && this.failures) { this.#closeFLV(); this.#openFLV(); this.play(); }
  }

  play() {
    this.video.play().catch((e) => {
      if (e.name === "NotAllowedError") { this.blocked = true; this.onChange(); }
    });
  }

  /** Jumps to where the player would start now. */
  toLive() {
    if (this.flv) {
      const b = this.video.buffered;
      if (b.length) this.video.currentTime = Math.max(this.video.currentTime, b.end(b.length - 1) - 0.4);
      this.play();
      return;
    }
    const end = this.video.seekable.length ? this.video.seekable.end(this.video.seekable.length - 1) - 4 : null;
    const to = this.hls?.liveSyncPosition ?? end;
    if (to !== null && to > this.video.currentTime) this.video.currentTime = to;
    this.play();
  }

  /** When the picture on screen was captured, as a Date, or null. */
  playingDate() {
    if (this.hls) return this.hls.playingDate ?? null;
    if (this.flv) { // FLV says no time of day: what arrived last is nearly now
      const b = this.video.buffered;
      return b.length ? new Date(Date.now() - (b.end(b.length - 1) - this.video.currentTime) * 1000) : null;
    }
    const start = this.video.getStartDate?.();
    return start && !isNaN(start) ? new Date(+start + this.video.currentTime * 1000) : null;
  }

  close() {
    this.hls?.destroy();
    this.hls = null;
    this.#closeFLV();
    if (this.onNativeError) this.video.removeEventListener("error", this.onNativeError);
    this.onNativeError = null;
    if (this.url !== null) { this.video.removeAttribute("src"); this.video.load(); }
    this.url = null;
    this.failures = 0;
  }
}
