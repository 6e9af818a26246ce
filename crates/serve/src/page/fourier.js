// The fast Fourier transform of real sound, for pictures.

/** Makes a function that gives the power of each frequency of `size` samples (a power of two), windowed by Hann. */
export function powerSpectrum(size) {
  const window = Float64Array.from({ length: size }, (_, at) => 0.5 - 0.5 * Math.cos(2 * Math.PI * at / size));
  const cosines = Float64Array.from({ length: size / 2 }, (_, at) => Math.cos(2 * Math.PI * at / size));
  const sines = Float64Array.from({ length: size / 2 }, (_, at) => Math.sin(2 * Math.PI * at / size));
  const bits = Math.log2(size);
  const reversed = Uint32Array.from({ length: size }, (_, at) => {
    let place = 0;
    for (let bit = 0; bit < bits; bit++) place |= (at >> bit & 1) << (bits - 1 - bit);
    return place;
  });
  const real = new Float64Array(size), imaginary = new Float64Array(size);

  return (samples, start) => {
    for (let at = 0; at < size; at++) {
      real[reversed[at]] = (samples[start + at] ?? 0) * window[at];
      imaginary[at] = 0;
    }
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half);
      for (let first = 0; first < size; first += 2 * half) {
        for (let at = 0; at < half; at++) {
          const upper = first + at, lower = upper + half;
          const cosine = cosines[at * step], sine = -sines[at * step];
          const turnedReal = real[lower] * cosine - imaginary[lower] * sine;
          const turnedImaginary = real[lower] * sine + imaginary[lower] * cosine;
          real[lower] = real[upper] - turnedReal;
          imaginary[lower] = imaginary[upper] - turnedImaginary;
          real[upper] += turnedReal;
          imaginary[upper] += turnedImaginary;
        }
      }
    }
    return Float64Array.from({ length: size / 2 }, (_, at) => real[at] ** 2 + imaginary[at] ** 2);
  };
}
