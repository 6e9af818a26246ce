// What the sound looks like: levels of frequencies over time.

import { styled, viridis } from '/page/colours.js';
import { powerSpectrum } from '/page/fourier.js';
import { fitted, gutter } from '/page/track.js';

const HOP_S = 0.02;
const BANDS = 96;
const HIGHEST_HZ = 8000;
const RANGE_DB = 70;
/** Most columns that are kept: ten minutes. */
const MOST = 30_000;

const mel = hz => Math.log1p(hz / 700);

/** Levels of sound that comes bit by bit. */
export class Spectrogram {
  constructor(rateHz) {
    this.rateHz = rateHz;
    this.size = 2 ** Math.ceil(Math.log2(rateHz * 0.025));
    this.power = powerSpectrum(this.size);
    this.highest = Math.min(HIGHEST_HZ, rateHz / 2);
    this.edges = Array.from({ length: BANDS + 1 }, (_, band) =>
      700 * Math.expm1(mel(this.highest) * band / BANDS) * this.size / rateHz);
    this.columns = [];
    this.dropped = 0;
    this.pending = new Float32Array(0);
    this.taken = 0;
    this.heard = 0;
    this.loudest = -60;
  }

  hear(samples) {
    const joined = new Float32Array(this.pending.length + samples.length);
    joined.set(this.pending);
    joined.set(samples, this.pending.length);
    this.heard += samples.length;
    let at = 0;
    for (;;) {
      // Columns lie at multiples of the hop, also where that is no whole number of samples.
      const next = Math.round((this.dropped + this.columns.length) * HOP_S * this.rateHz) - this.taken;
      at = next;
      if (next + this.size > joined.length) break;
      this.columns.push(this.column(joined, next));
      if (this.columns.length > MOST) {
        this.columns.shift();
        this.dropped += 1;
      }
    }
    this.taken += Math.min(at, joined.length);
    this.pending = joined.slice(Math.min(at, joined.length));
  }

  column(samples, start) {
    const power = this.power(samples, start);
    return Float32Array.from({ length: BANDS }, (_, band) => {
      const from = Math.floor(this.edges[band]), to = Math.max(Math.ceil(this.edges[band + 1]), from + 1);
      let most = 0;
      for (let at = from; at < to && at < power.length; at++) most = Math.max(most, power[at]);
      const level = 10 * Math.log10(most / this.size ** 2 + 1e-12);
      this.loudest = Math.max(this.loudest, level);
      return level;
    });
  }

  /** Draws it from `view.from` to `view.to` seconds. */
  draw(canvas, view) {
    const { pen, width, height } = fitted(canvas);
    const left = gutter(width), wide = Math.max(Math.floor(width - left), 1);
    pen.clearRect(0, 0, width, height);
    const picture = new ImageData(wide, BANDS);
    for (let x = 0; x < wide; x++) {
      const seconds = view.from + (x + 0.5) / wide * (view.to - view.from);
      const column = this.columns[Math.floor(seconds / HOP_S) - this.dropped];
      if (!column) continue;
      for (let band = 0; band < BANDS; band++) {
        const [red, green, blue] = viridis(1 + (column[band] - this.loudest) / RANGE_DB);
        picture.data.set([red, green, blue, 255], 4 * ((BANDS - 1 - band) * wide + x));
      }
    }
    const whole = new OffscreenCanvas(wide, BANDS);
    whole.getContext('2d').putImageData(picture, 0, 0);
    pen.drawImage(whole, left, 0, wide, height);
    pen.fillStyle = styled('--ink');
    for (const hz of [250, 1000, 2000, 4000].filter(hz => hz < this.highest)) {
      pen.fillText(hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`, 4, height * (1 - mel(hz) / mel(this.highest)));
    }
  }
}
