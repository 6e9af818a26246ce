// Runs where sound is made: collects it into chunks and hands them to the page.

const CHUNK_S = 0.03;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Float32Array(Math.round(sampleRate * CHUNK_S));
    this.filled = 0;
  }

  process(inputs) {
    const samples = inputs[0][0];
    for (let at = 0; samples && at < samples.length;) {
      const count = Math.min(this.chunk.length - this.filled, samples.length - at);
      this.chunk.set(samples.subarray(at, at + count), this.filled);
      this.filled += count;
      at += count;
      if (this.filled === this.chunk.length) {
        this.port.postMessage(this.chunk);
        this.chunk = new Float32Array(this.chunk.length);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor('capture', Capture);
