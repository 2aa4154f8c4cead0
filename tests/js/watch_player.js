// Stands between hls.js and the script of a page that plays with it: that script gets a player that is watched. What is
// played is played again from a late place and from the beginning, and what came of it is reported to the page's server.
"use strict";

const SOON_SECONDS = 0.2;
const LATE_SECONDS = 8; // before the end
const SPEED = 16;
const PATIENCE_MS = 30_000;
const seen = { parts: [], plays: [], errors: [], asked: [] };
const hashing = [];

// hls.js loads as always; what has come is looked at before it goes on.
class WatchedLoader extends Hls.DefaultConfig.loader {
  load(context, config, callbacks) {
    const onSuccess = (response, ...rest) => {
      note(context.frag, response.data);
      callbacks.onSuccess(response, ...rest);
    };
    super.load(context, config, { ...callbacks, onSuccess });
  }
}

window.Hls = class extends Hls {
  constructor(settings) {
    super({ ...settings, fLoader: WatchedLoader });
    this.on(Hls.Events.ERROR, (_, error) => failed(this, error));
    this.on(Hls.Events.MEDIA_ATTACHED, (_, { media }) => watch(media));
    setTimeout(report, PATIENCE_MS);
  }
};

function note(frag, data) {
  const part = { name: frag.relurl, range: frag.byteRange, size: data.byteLength };
  seen.parts.push(part);
  // The bytes are copied before this call returns: hls.js hands them to its worker.
  hashing.push(crypto.subtle.digest("SHA-256", data).then((digest) => (part.sha256 = hex(digest))));
}

async function watch(video) {
  await until(video, "timeupdate", () => video.currentTime > SOON_SECONDS);
  video.playbackRate = SPEED;
  for (const start of [video.duration - LATE_SECONDS, 0]) {
    video.currentTime = start;
    video.play().catch((error) => seen.errors.push(String(error))); // after the end it stands still
    await until(video, "ended", () => video.ended);
    const { duration, currentTime: stop, videoWidth: width, videoHeight: height } = video;
    seen.plays.push({ start, stop, duration, width, height, frames: video.getVideoPlaybackQuality().totalVideoFrames });
  }
  await report();
}

function until(video, event, holds) {
  return new Promise((done) => video.addEventListener(event, () => holds() && done()));
}

async function failed(player, { details, fatal }) {
  seen.errors.push({ details, fatal });
  if (fatal) {
    await trespass(player.url);
    await report();
  }
}

// What a page can do that may not read an answer: ask all the same, in ways that need no leave. It would be paid for.
async function trespass(playlist) {
  const url = new URL("index0.ts", playlist);
  await fetch(url, { mode: "no-cors" });
  seen.asked.push("fetch");
  for (const kind of ["img", "video", "script"]) {
    const element = document.createElement(kind);
    await new Promise((done) => {
      element.onload = element.onloadeddata = element.onerror = done;
      element.src = url;
      document.body.append(element);
    });
    seen.asked.push(kind);
  }
}

async function report() {
  await Promise.all(hashing);
  await fetch("/report", { method: "POST", body: JSON.stringify(seen) });
}

function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
